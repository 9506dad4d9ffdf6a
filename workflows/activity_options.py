"""Every timeout and retry policy of the workflows, named, with the reason for its value.

Temporal does all retrying: botocore makes one attempt, and the activities say what may be tried again and when
(`next_retry_delay`). Every activity is bounded by wall time, never by attempts alone: an outage that outlasts the bound
ends in a stop that says why, and a stop can be continued.
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
"""A second belt, visible in Temporal's UI: refusals that no message can soften. The activities decide first."""

_RETRY: Final = RetryPolicy(
    # Half a second is long enough for a throttled API to have a token again, and short enough not to be felt.
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2,
    # An API that is down is asked a dozen times a minute, and its return is noticed within seconds.
    maximum_interval=timedelta(seconds=5),
    non_retryable_error_types=_DEFINITE,
)

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=8)
"""Activities beat every 3 s: a worker that was killed is noticed after 8 s, and another one goes on within 10."""

PLAN_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),  # it computes and asks nobody
    schedule_to_close_timeout=timedelta(minutes=15),
    retry_policy=_RETRY,
)

LOCAL_PLAN_OPTIONS: Final = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    # It fails by a mistake of ours alone, which no later try would mend.
    schedule_to_close_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(maximum_attempts=3),
)

PROBE_OPTIONS: Final = ActivityConfig(
    # PUT, GET and DELETE, and six calls more where the probe bucket is made: each is bounded by boto's 20 s.
    start_to_close_timeout=timedelta(minutes=2),
    # Longer than the longest grace (300 s), so that the grace ends with AWS's words and never with a timeout.
    schedule_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

WRITE_OPTIONS: Final = ActivityConfig(
    # The most calls one step makes are the fourteen of an adopted bucket.
    start_to_close_timeout=timedelta(minutes=3),
    schedule_to_close_timeout=timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    # A write is settled before the workflow ends: what it did is then known and can be told.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# It waits for the cluster first: Aurora takes 5 to 15 minutes, and what is not there after an hour does not come.
ENSURE_WRITER_OPTIONS: Final = ActivityConfig(**{**WRITE_OPTIONS, "schedule_to_close_timeout": timedelta(minutes=60)})

AWAIT_WRITER_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1),  # one describe, tried again by the server while it is not there yet
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
    # Deleting a cluster with its instance takes RDS up to half an hour.
    schedule_to_close_timeout=timedelta(minutes=60),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)


def with_summary(config: ActivityConfig, summary: str) -> ActivityConfig:
    """The same configuration with what the step is about, which Temporal's UI shows beside the activity."""
    return {**config, "summary": summary}
