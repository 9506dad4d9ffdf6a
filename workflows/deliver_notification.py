"""Delivers one notification to one endpoint."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from activities.notifications import NotificationActivities
    from byok.contracts import DELIVER_NOTIFICATION_WORKFLOW, delivery_workflow_id
    from byok.domain.models import DeliveryReceipt, DeliveryRequest
from workflows.activity_options import DELIVER_ONCE_OPTIONS, DELIVER_OPTIONS
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=DELIVER_NOTIFICATION_WORKFLOW)
class DeliverNotification:
    """Delivers one notification to one endpoint, and retries for three days (contract 144).

    The workflow id is `notification/<endpoint>/<notification id>`. The workflow fails if the endpoint does not accept
    the notification within this time, or if it answers 410 (Gone).
    """

    @workflow.run
    async def run(self, request: DeliveryRequest) -> DeliveryReceipt:
        """Deliver the notification, and return the receipt."""
        expected = delivery_workflow_id(request.endpoint, request.notification.id)
        require_workflow_id(expected, "the id of the workflow that delivers this notification")
        options = DELIVER_ONCE_OPTIONS if request.once else DELIVER_OPTIONS
        return await workflow.execute_activity_method(NotificationActivities.deliver_notification, request, **options)


@workflow.defn(name=DELIVER_NOTIFICATION_WORKFLOW, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedDeliverNotification(DeliverNotification):
    """The delivery workflow for versioned workers.

    A delivery can be retried for days. If it were pinned to its build, you would have to keep the old workers running,
    and they would use the endpoints in their old settings.
    """

    @workflow.run
    async def run(self, request: DeliveryRequest) -> DeliveryReceipt:
        """See `DeliverNotification.run`."""
        return await super().run(request)


def select_delivery_workflow(*, versioned: bool) -> type[DeliverNotification]:
    """Return the delivery workflow that matches the kind of worker.

    If a workflow has a versioning behaviour, the server rejects the workflow tasks that an unversioned worker
    completes.
    """
    return AutoUpgradedDeliverNotification if versioned else DeliverNotification
