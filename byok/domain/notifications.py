"""The rules for notifications: their causes, contents, receiving endpoints and retries.

Webhooks follow the Standard Webhooks specification. The body is a CloudEvents 1.0 event in structured JSON mode,
because numbers and booleans would become text in binary mode.
"""

import base64
import binascii
import email.utils
import json
import random
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from byok.domain.models import (
    HealthReport,
    HealthState,
    HealthSummary,
    HealthTarget,
    Notification,
    NotificationData,
    NotificationType,
    OrganisationName,
    RunReport,
)
from byok.domain.models.key_deletions import is_disproved
from byok.domain.phases import Phase
from byok.domain.rds_statuses import KEY_LOST_RECOVERABLE

EVENT_CONTENT_TYPE: Final = "application/cloudevents+json"
EVENT_SOURCE: Final = "/byok"
ENDPOINT_NAME_WORDS: Final = "1 to 32 lower-case letters, digits and hyphens, and must not begin with a hyphen"

DELIVERY_PERIOD: Final = timedelta(days=3)
"""How long byok retries a delivery. Standard Webhooks recommends several days, so that no notification is lost if an
endpoint is down for a whole weekend."""

FIRST_RETRY_PAUSE: Final = timedelta(seconds=5)
RETRY_PAUSE_FACTOR: Final = 4
LONGEST_RETRY_PAUSE: Final = timedelta(hours=12)
"""The maximum pause between two attempts. With the first pause, the factor and this maximum, byok makes six attempts in
the first half hour, and up to thirteen attempts in three days."""

CLOCK_POINTS: Final = (timedelta(days=3), timedelta(days=1), timedelta(hours=6))
"""The times before a deadline at which byok sends a reminder."""

REMINDER_PERIOD: Final = timedelta(hours=6)
"""How long after its scheduled time byok still sends a reminder."""

_WORKING: Final = frozenset({HealthState.HEALTHY, HealthState.DEGRADED})

_EXTRA: Final = 0.2
"""The maximum jitter, as a fraction of the pause. After an outage of an endpoint, jitter prevents all deliveries from
retrying at the same time."""

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the prefix of every secret
_SECRET_BYTES: Final = range(24, 65)
"""The sizes of a secret, in bytes, that Standard Webhooks allows."""

_TYPES_BY_PHASE: Final[Mapping[Phase, NotificationType]] = {
    Phase.READY: NotificationType.PROVISIONED,
    Phase.STOPPED: NotificationType.STOPPED,
    Phase.DELETED: NotificationType.DELETED,
}


def is_endpoint_name(text: str) -> bool:
    """Return whether a string is a valid name for an endpoint (`ENDPOINT_NAME_WORDS`)."""
    return re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", text) is not None


def _require_endpoint_name(value: str) -> str:
    if not is_endpoint_name(value):
        raise ValueError(f"must be {ENDPOINT_NAME_WORDS}")
    return value


def _require_https_url(value: str) -> str:
    parts = urlsplit(value)  # pydantic turns the ValueError of an invalid URL into a validation error
    if parts.scheme != "https" or not parts.hostname or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be an https:// URL with a host, such as https://portal.example.com/webhooks")
    if parts.username is not None or parts.fragment or parts.port == 0:
        raise ValueError("must not contain a user name, a password, a fragment or the port 0")
    return value


def _require_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    words = (
        f"must be {_SECRET_PREFIX} followed by the standard base64 of {_SECRET_BYTES.start} to "
        f"{_SECRET_BYTES.stop - 1} random bytes"
    )
    try:
        key = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(words) from None  # the original error would reveal the value
    if not text.startswith(_SECRET_PREFIX) or len(key) not in _SECRET_BYTES:
        raise ValueError(words)
    return value


class WebhookEndpoint(BaseModel):
    """A URL to which byok delivers notifications.

    Only a worker's settings contain the URL and the secrets. Data that byok sends to Temporal contains only the name.

    Attributes:
        url: The https URL. The URL may contain a token, so it never appears in a message, a log line or a `repr()`.
        secrets: One or two secrets, the newest first. Each request is signed with every secret, so that the receiver
            can switch from the old secret to the new secret at any time.
        organisation: Deliver only notifications about this organisation's environments.
        types: Deliver only notifications of these types.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, AfterValidator(_require_endpoint_name)]
    url: Annotated[str, AfterValidator(_require_https_url)] = Field(repr=False)
    secrets: tuple[Annotated[SecretStr, AfterValidator(_require_secret)], ...] = Field(min_length=1, max_length=2)
    organisation: OrganisationName | None = None
    types: tuple[NotificationType, ...] | None = Field(default=None, min_length=1)

    def wants(self, notification: Notification) -> bool:
        """Return whether byok delivers a notification to this endpoint."""
        return self.organisation in (None, notification.organisation) and (
            self.types is None or notification.type in self.types
        )


def build_notification_id(*parts: str) -> str:
    """Return the id of a notification. The same parts always result in the same id."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, "/".join(("notification", *parts))))


def build_run_notification(report: RunReport) -> Notification | None:
    """Build the notification about the end of a run; None if the run has not ended in a final phase.

    A repeated report results in the same notification with the same id.
    """
    progress, attempt = report.progress, report.attempt
    kind = _TYPES_BY_PHASE.get(progress.phase)
    if kind is None or attempt.ended_at is None:
        return None
    problem = progress.first_problem
    return Notification(
        id=build_notification_id(attempt.run_id, progress.phase),
        type=kind,
        environment_id=report.environment_id,
        organisation=progress.request.organisation,
        region=progress.request.region,
        at=attempt.ended_at,
        data=NotificationData(
            phase=progress.phase,
            attempt=attempt.kind,
            problem_code=problem.code if problem else None,
            problem_message=problem.message if problem else None,
        ),
    )


def build_change_notifications(target: HealthTarget, report: HealthReport) -> tuple[Notification, ...]:
    """Build the notifications about a change that a check found.

    A change is the loss or the recovery of a key, or the start of the period in which the cluster is recoverable.
    Another check that finds the same change results in notifications with the same ids.

    Args:
        target: The environment, as its record described it before the check.
        report: What the check found.
    """
    last = target.last
    deadline = report.find_deadline(None if last is None else last.recoverable_until)
    data = _build_health_data(report, deadline)
    return tuple(
        _build_health_notification(target, kind, moment, report.checked_at, data)
        for kind, moment in _list_changes(last, report.state, deadline)
    )


def build_missed_notifications(target: HealthTarget) -> tuple[Notification, ...]:
    """Build the notifications about the last recorded change, if byok may have failed to send them.

    These notifications have the same ids as the notifications from `build_change_notifications`. The notifications do
    not contain AWS's message, because the summary in the record does not contain it.
    """
    last = target.last
    if last is None or last.unannounced is None:
        return ()
    data = NotificationData(phase=Phase.READY, problem_code=last.problem_code, deadline=last.recoverable_until)
    return tuple(
        _build_health_notification(target, kind, moment, last.since, data)
        for kind, moment in _list_changes(last.unannounced, last.state, last.recoverable_until)
    )


def build_reminders(target: HealthTarget, report: HealthReport) -> tuple[Notification, ...]:
    """Build the due reminders for a cluster that has lost its key, and for keys that are scheduled for deletion.

    A reminder remains due for `REMINDER_PERIOD` after its scheduled time, in case no check takes place at that time.

    Args:
        target: The environment, as its record described it before the check.
        report: What the check found.
    """
    found: list[Notification] = []
    deadline = None if target.last is None else target.last.recoverable_until
    if deadline is not None and report.cluster_status == KEY_LOST_RECOVERABLE:
        data = _build_health_data(report, deadline)
        due = [(f"{deadline.isoformat()}/{left}", deadline - left) for left in CLOCK_POINTS]
        found += _build_due(target, report, data, due)
    for one in target.deletions:
        if one.delete_at is None or is_disproved(one, report):
            continue
        data = _build_health_data(report, one.delete_at).model_copy(update={"key_to_be_deleted": one.key})
        moment = f"{one.key}/{one.delete_at.isoformat()}"
        due = [(moment, one.reported_at), *((f"{moment}/{left}", one.delete_at - left) for left in CLOCK_POINTS)]
        found += _build_due(target, report, data, [(name, at) for name, at in due if at >= one.reported_at])
    return tuple(found)


def _build_due(
    target: HealthTarget, report: HealthReport, data: NotificationData, due: Iterable[tuple[str, datetime]]
) -> list[Notification]:
    """Build the reminders that are due now.

    Each item of `due` is the unique name of a reminder, and the time from which the reminder is due.
    """
    return [
        _build_health_notification(target, NotificationType.CLOCK_RUNNING, moment, report.checked_at, data)
        for moment, at in due
        if timedelta(0) <= report.checked_at - at < REMINDER_PERIOD
    ]


def _list_changes(
    before: HealthSummary | None, state: HealthState, deadline: datetime | None
) -> list[tuple[NotificationType, str]]:
    """Return the type of each notification about a change, and a text that identifies the change.

    The text is the time at which the previous health state began. The time of the check would not identify the change,
    because two checks that find the same change run at different times.
    """
    was = HealthState.HEALTHY if before is None else before.state
    since = "" if before is None else before.since.isoformat()
    kinds: list[NotificationType] = []
    if state is HealthState.KEY_LOST and was is not HealthState.KEY_LOST:
        kinds.append(NotificationType.KEY_LOST)
    if state in _WORKING and was not in _WORKING:
        kinds.append(NotificationType.RECOVERED)
    if deadline is not None and (before is None or before.recoverable_until is None):
        kinds.append(NotificationType.CLOCK_RUNNING)
    return [(kind, since) for kind in kinds]


def _build_health_data(report: HealthReport, deadline: datetime | None) -> NotificationData:
    problem = report.problems[0] if report.problems else None
    return NotificationData(
        phase=Phase.READY,
        problem_code=problem.code if problem else None,
        problem_message=problem.message if problem else None,
        deadline=deadline,
    )


def _build_health_notification(
    target: HealthTarget, kind: NotificationType, moment: str, at: datetime, data: NotificationData
) -> Notification:
    return Notification(
        id=build_notification_id(target.environment_id, kind, moment),
        type=kind,
        environment_id=target.environment_id,
        organisation=target.organisation,
        region=target.region,
        at=at,
        data=data,
    )


def build_test_notification() -> Notification:
    """Build a notification that belongs to no environment. Each call returns a notification with a new id."""
    return Notification(id=str(uuid.uuid4()), type=NotificationType.TEST, at=datetime.now(UTC))


def render_event(notification: Notification) -> str:
    """Return the body that byok sends, which is a CloudEvents 1.0 event as JSON. Fields without a value are omitted."""
    values = notification.model_dump(mode="json", exclude_none=True)
    about = {name: values[name] for name in ("environment_id", "organisation", "region") if name in values}
    subject = {} if notification.environment_id is None else {"subject": notification.environment_id}
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": notification.id,
        "source": EVENT_SOURCE,
        "type": notification.type.value,
        **subject,
        "time": values["at"],
        "datacontenttype": "application/json",
        "data": {**about, **values["data"]},
    }
    return json.dumps(event)


def choose_retry_pause(
    attempt: int, retry_after: timedelta | None = None, uniform: Callable[[float, float], float] = random.uniform
) -> timedelta:
    """Return how long to wait before the next delivery attempt.

    The result includes random jitter of up to 20 % of the pause.

    Args:
        attempt: The number of the attempt that failed, starting at 1.
        retry_after: How long the endpoint asks byok to wait. byok waits for at most `LONGEST_RETRY_PAUSE` and at least
            its own pause, so that an endpoint cannot make byok retry too often.
        uniform: The function that returns a random number between its two arguments.
    """
    steps = min(attempt - 1, (LONGEST_RETRY_PAUSE // FIRST_RETRY_PAUSE).bit_length())
    own = min(FIRST_RETRY_PAUSE.total_seconds() * RETRY_PAUSE_FACTOR**steps, LONGEST_RETRY_PAUSE.total_seconds())
    if retry_after is not None:
        own = max(own, min(retry_after, LONGEST_RETRY_PAUSE).total_seconds())
    return timedelta(seconds=uniform(own, own * (1 + _EXTRA)))


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """Return the pause that a `Retry-After` header asks for (RFC 9110 §10.2.3); None if the header is not valid.

    Args:
        value: The header: a number of seconds, or a date.
        now: The current time.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(float(text), LONGEST_RETRY_PAUSE.total_seconds()))
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(moment - now, timedelta(0)), LONGEST_RETRY_PAUSE)
