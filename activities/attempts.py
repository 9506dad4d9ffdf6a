"""Records in a workflow's own history that the workflow is about to stop."""

from temporalio import activity

from byok.contracts import STOP_SIGNAL
from byok.domain.models import StoppedAttempt


class AttemptActivities:
    """Records attempts."""

    @activity.defn
    async def record_stop(self, stop: StoppedAttempt) -> None:
        """Report the stop to the workflow that runs this activity, with a signal.

        An activity sends the signal, because Temporal does not let a workflow signal itself (see docs/behaviour.md). If
        the response is lost and the signal is sent again, the second signal has no effect.
        """
        info = activity.info()
        if info.workflow_id is None:  # only a test could call this activity outside a workflow
            raise AssertionError("record_stop was called outside a workflow")
        handle = activity.client().get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
        await handle.signal(STOP_SIGNAL, stop)
