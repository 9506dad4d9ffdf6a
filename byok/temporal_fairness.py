"""An interceptor that dispatches a workflow's activities under the fairness key of the workflow's organisation.

Activities inherit the fairness key of their workflow. However, a workflow that a person starts in Temporal's UI has no
fairness key, so Temporal would dispatch its activities in one group with the activities of all other workflows without
a key.
"""

from typing import Any

from temporalio.common import Priority
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.workflow import ActivityHandle


class FairnessInterceptor(Interceptor):
    """Sets the fairness key of every activity to the organisation in the workflow's input, if the input has one."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: ARG002 - the SDK's signature
    ) -> type[WorkflowInboundInterceptor]:
        """See the SDK's `Interceptor`."""
        return _FairWorkflow


class _FairWorkflow(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self._activities = _FairActivities(outbound)
        super().init(self._activities)

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        self._activities.organisation = next(
            (found for value in input.args if isinstance(found := getattr(value, "organisation", None), str)), None
        )
        return await super().execute_workflow(input)


class _FairActivities(WorkflowOutboundInterceptor):
    organisation: str | None = None

    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
        if self.organisation is not None:
            input.priority = Priority(fairness_key=self.organisation)
        return super().start_activity(input)
