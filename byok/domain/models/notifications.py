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
    """What a receiver learns about a notification beyond its type. Fields without a value are left out.

    Attributes:
        phase: The phase of the environment.
        attempt: How the attempt began that has ended.
        problem_code: The code of the first problem.
        problem_message: The message of the first problem, as AWS sent it.
        deadline: When the environment or the key can no longer be recovered.
        key_to_be_deleted: The key that KMS deletes at the deadline, as the customer's account reported it.
    """

    phase: Phase | None = None
    attempt: AttemptKind | None = None
    problem_code: str | None = None
    problem_message: str | None = None
    deadline: AwareDatetime | None = None
    key_to_be_deleted: KeyPurpose | None = None


class Notification(RecordModel):
    """One change of one environment, which byok delivers to each endpoint that wants it.

    Attributes:
        id: The id under which every delivery of this notification is sent (`webhook-id`, and the CloudEvents `id`).
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
        once: Whether to try only once, because a person waits for the result.
    """

    endpoint: str
    notification: Notification
    once: bool = False

    @property
    def organisation(self) -> str | None:
        """The organisation that owns the environment, for the fairness key of the activity."""
        return self.notification.organisation

    def summarise(self) -> "DeliverySummary":
        """Return the part that lists show."""
        notification = self.notification
        return DeliverySummary(
            endpoint=self.endpoint,
            notification_id=notification.id,
            type=notification.type,
            environment_id=notification.environment_id,
            at=notification.at,
        )


class DeliverySummary(RecordModel):
    """The part of a delivery that lists show, without reading the workflow's history.

    Attributes:
        type: The type of the notification; a text, because a later version of byok may know more types.
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
