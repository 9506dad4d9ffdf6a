"""Every timeout and retry policy of the workflows, named, with the reason for its value.

Temporal does all retrying: botocore makes one attempt, and the activities decide what to retry and when
(`next_retry_delay`). Wall time limits every activity, never the number of attempts alone: an outage that outlasts the
limit ends in a stop that names the reason, and you can continue a stopped workflow.
"""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

from byok.domain.problems.aws_errors import ERROR_RULES, ErrorOutcome

_DEFINITE: Final = [
    f"{row.service}.{row.code}"
    for row in ERROR_RULES
    if row.customer_key and row.outcome is ErrorOutcome.STOP and row.message is None
]
"""A second safeguard, visible in Temporal's UI: errors that are always final. The activities decide first."""

_RETRY: Final = RetryPolicy(
    # Long enough for a throttled API to have a token again, too short for users to notice.
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2,
    # About a dozen calls a minute to an API that is down, so that the workflow continues seconds after its recovery.
    maximum_interval=timedelta(seconds=5),
    non_retryable_error_types=_DEFINITE,
)

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=8)
"""Activities send a heartbeat every 3 s. Temporal notices a killed worker after 8 s; another continues within 10 s."""

PLAN_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),  # it computes and calls no service
    schedule_to_close_timeout=timedelta(minutes=15),
    retry_policy=_RETRY,
)

LOCAL_PLAN_OPTIONS: Final = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    # Only a bug in byok makes it fail, and retrying would not fix that.
    schedule_to_close_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(maximum_attempts=3),
)

PROBE_OPTIONS: Final = ActivityConfig(
    # PUT, GET and DELETE, plus six calls that create the probe bucket; boto limits each of them to 20 s.
    start_to_close_timeout=timedelta(minutes=2),
    # Longer than the longest grace period (300 s), so that it ends with AWS's error and never with a timeout.
    schedule_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

WRITE_OPTIONS: Final = ActivityConfig(
    # An activity makes at most fourteen calls, for an adopted bucket.
    start_to_close_timeout=timedelta(minutes=3),
    schedule_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    # The workflow waits for a write before it ends, so that its result is known and reported.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# It waits for the cluster first. Aurora takes 5 to 15 minutes; if it needs more than an hour, it never finishes.
ENSURE_WRITER_OPTIONS: Final = ActivityConfig(**{**WRITE_OPTIONS, "schedule_to_close_timeout": timedelta(minutes=60)})

AWAIT_WRITER_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1),  # one describe call; the server retries it until the writer is there
    schedule_to_close_timeout=timedelta(minutes=45),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
)

READ_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=3),
    schedule_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
)

REMOVE_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=3),
    # RDS takes up to half an hour to delete a cluster with its instance.
    schedule_to_close_timeout=timedelta(minutes=60),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)


def with_summary(config: ActivityConfig, summary: str) -> ActivityConfig:
    """Return the same options plus a summary, which Temporal's UI shows next to the activity."""
    return {**config, "summary": summary}
