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
    the notification in time, or answers that it no longer exists.
    """

    @workflow.run
    async def run(self, request: DeliveryRequest) -> DeliveryReceipt:
        """Deliver the notification, and return how the endpoint accepted it."""
        expected = delivery_workflow_id(request.endpoint, request.notification.id)
        require_workflow_id(expected, "the id of the workflow that delivers this notification")
        options = DELIVER_ONCE_OPTIONS if request.once else DELIVER_OPTIONS
        return await workflow.execute_activity_method(NotificationActivities.deliver_notification, request, **options)


@workflow.defn(name=DELIVER_NOTIFICATION_WORKFLOW, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedDeliverNotification(DeliverNotification):
    """The delivery on a versioned worker.

    A delivery may retry for days. If it were pinned to its build, the old workers would have to keep running, and they
    would use the endpoints in their old settings.
    """

    @workflow.run
    async def run(self, request: DeliveryRequest) -> DeliveryReceipt:
        """See `DeliverNotification.run`."""
        return await super().run(request)


def select_delivery_workflow(*, versioned: bool) -> type[DeliverNotification]:
    """Return the delivery's workflow for a worker.

    The server rejects the workflow tasks of an unversioned worker whose workflow has a versioning behaviour.
    """
    return AutoUpgradedDeliverNotification if versioned else DeliverNotification
