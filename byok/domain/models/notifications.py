"""Notifications about environments, and the input and the result of the workflow that delivers them (contract 144)."""

from enum import StrEnum

from pydantic import AwareDatetime

from byok.domain.arns import KeyPurpose
from byok.domain.models.attempts import AttemptKind
from byok.domain.models.base import RecordModel
from byok.domain.phases import Phase


class NotificationType(StrEnum):
    """What happened. The values are the CloudEvents types that receivers see."""

    PROVISIONED = "byok.environment.provisioned"
    STOPPED = "byok.environment.stopped"
    DELETED = "byok.environment.deleted"
    KEY_LOST = "byok.environment.key_lost"
    CLOCK_RUNNING = "byok.environment.clock_running"
    RECOVERED = "byok.environment.recovered"
    TEST = "byok.notification.test"


class NotificationData(RecordModel):
    """The data of a notification, in addition to its type. Fields without a value are omitted.

    Attributes:
        phase: The phase of the environment.
        attempt: The kind of the attempt that ended.
        problem_code: The code of the first problem.
        problem_message: The message of the first problem, as AWS sent it.
        deadline: The time after which the environment or the key can no longer be recovered.
        key_to_be_deleted: The key that KMS deletes at the deadline, according to the customer's account.
    """

    phase: Phase | None = None
    attempt: AttemptKind | None = None
    problem_code: str | None = None
    problem_message: str | None = None
    deadline: AwareDatetime | None = None
    key_to_be_deleted: KeyPurpose | None = None


class Notification(RecordModel):
    """A change in an environment. byok reports the change to each endpoint that is configured to receive it.

    Attributes:
        id: The id of the notification, which is the same in every delivery (`webhook-id`, and the CloudEvents `id`).
        environment_id: The environment; None only in a test notification.
        region: The Region of the environment; None only in a test notification.
        at: When the change happened.
    """

    id: str
    type: NotificationType
    environment_id: str | None = None
    organisation: str | None = None
    region: str | None = None
    at: AwareDatetime
    data: NotificationData = NotificationData()


class DeliveryRequest(RecordModel):
    """The input of `DeliverNotification`.

    Attributes:
        endpoint: The name of an endpoint in the workers' settings. The workflow never contains the endpoint's URL or
            secrets.
        once: Whether to make only one attempt, because a user is waiting for the result.
    """

    endpoint: str
    notification: Notification
    once: bool = False

    @property
    def organisation(self) -> str | None:
        """The fairness key of the activity, which is the organisation that owns the environment."""
        return self.notification.organisation

    def summarise(self) -> "DeliverySummary":
        """Return a summary to show in lists of deliveries."""
        notification = self.notification
        return DeliverySummary(
            endpoint=self.endpoint,
            notification_id=notification.id,
            type=notification.type,
            environment_id=notification.environment_id,
            at=notification.at,
        )


class DeliverySummary(RecordModel):
    """The summary of a delivery. byok can list these summaries without reading workflow histories.

    Attributes:
        type: The type of the notification. The field is a string, because a later version of byok may define more
            types.
    """

    endpoint: str
    notification_id: str
    type: str
    environment_id: str | None = None
    at: AwareDatetime


class DeliveryReceipt(RecordModel):
    """The result of `DeliverNotification`.

    Attributes:
        status: The HTTP status with which the endpoint accepted the notification.
        attempt: The number of the successful attempt, starting at 1.
    """

    status: int
    attempt: int
    delivered_at: AwareDatetime
