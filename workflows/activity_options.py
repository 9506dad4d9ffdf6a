"""All timeouts and retry policies of the workflows, each with the reason for its value.

Temporal handles all retries: botocore makes one attempt, and the activities decide which errors to retry and when
(`next_retry_delay`). Every activity has a time limit across all attempts (`schedule_to_close_timeout`), except the
removal of a proof cluster.

Most time limits are the sum of two values: the maximum time that the activity waits for a resource, and `MAX_HOLD`, the
maximum time that the activity is on hold because of a platform fault (contract 151). The activity itself measures how
long it has waited for the resource, and does not count the time on hold
(`activities.holds.has_patience_for`). If a fault lasts longer than the limit, the workflow stops and reports the fault.
You can then replay the stopped workflow.
"""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

from byok.domain.holding import MAX_HOLD
from byok.domain.notifications import DELIVERY_PERIOD, FIRST_RETRY_PAUSE, LONGEST_RETRY_PAUSE, RETRY_PAUSE_FACTOR
from byok.domain.problems.aws_errors import ERROR_RULES, ErrorOutcome

_DEFINITE: Final = [
    f"{row.service}.{row.code}"
    for row in ERROR_RULES
    if row.customer_key and row.outcome is ErrorOutcome.STOP and row.message is None
]
"""Errors that are never retried. The activities already mark these errors as non-retryable. The list is a second
safeguard, which is also visible in Temporal's UI."""

_RETRY: Final = RetryPolicy(
    # The first pause is too short for users to notice.
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2,
    # `maximum_interval` applies only while a resource is busy. While an activity is on hold, the pauses grow to minutes
    # (`byok.domain.holding`).
    maximum_interval=timedelta(seconds=5),
    non_retryable_error_types=_DEFINITE,
)

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=8)
"""Activities send a heartbeat every 3 s. If a worker is killed, Temporal detects this within 8 s, and another worker
starts the next attempt within 10 s.
"""


def without_hold(config: ActivityConfig) -> ActivityConfig:
    """Return the options with `MAX_HOLD` subtracted from the time limit.

    Key checks use these options. A person is waiting for the verdict, so a check must not be on hold for hours.
    """
    limit = config["schedule_to_close_timeout"]
    return {**config, "schedule_to_close_timeout": None if limit is None else limit - MAX_HOLD}


PLAN_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),  # the activity does not call any service
    schedule_to_close_timeout=MAX_HOLD + timedelta(minutes=15),
    retry_policy=_RETRY,
)

LOCAL_PLAN_OPTIONS: Final = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    # The activity can fail only because of a bug in byok, so further attempts would not help.
    schedule_to_close_timeout=timedelta(seconds=30),
    retry_policy=RetryPolicy(maximum_attempts=3),
)

PROBE_OPTIONS: Final = ActivityConfig(
    # An attempt runs two probes of three calls each (PUT, GET and DELETE), and makes six more calls if it creates the
    # probe bucket. S3 usually responds within milliseconds. If S3 is so slow that an attempt exceeds this timeout, the
    # next attempt starts over.
    start_to_close_timeout=timedelta(minutes=2),
    # This limit exceeds the maximum grace period (300 s), so that a failed probe ends with AWS's error, not with a
    # timeout.
    schedule_to_close_timeout=MAX_HOLD + timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

CHECK_PROBE_OPTIONS: Final = without_hold(PROBE_OPTIONS)

AWAIT_PROOF_OPTIONS: Final = ActivityConfig(
    # This timeout exceeds the 15-minute limit that the proof workflow sets for a proof.
    start_to_close_timeout=timedelta(minutes=16),
    schedule_to_close_timeout=timedelta(minutes=20),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
)

REUSE_PROOF_FOR: Final = timedelta(minutes=10)
"""How long other checks can reuse the proof of an Aurora key."""

REMOVE_PROOF_OPTIONS: Final = ActivityConfig(
    # An attempt makes at most six AWS calls. There is no time limit across all attempts, because the cluster would be
    # left behind if the activity gave up.
    start_to_close_timeout=timedelta(minutes=3),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

WRITE_OPTIONS: Final = ActivityConfig(
    # An attempt makes at most fourteen AWS calls: adopting a bucket takes that many.
    start_to_close_timeout=timedelta(minutes=3),
    schedule_to_close_timeout=MAX_HOLD + timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    # A cancelled workflow waits until a running write has finished, so that it can report the result of the write.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

# `ensure_writer` first waits until the cluster is available. Aurora takes 5 to 15 minutes to create a cluster. If a
# cluster is not available after an hour, it never will be.
ENSURE_WRITER_OPTIONS: Final = ActivityConfig(
    **{**WRITE_OPTIONS, "schedule_to_close_timeout": MAX_HOLD + timedelta(minutes=60)}
)

AWAIT_WRITER_OPTIONS: Final = ActivityConfig(
    # An attempt makes one describe call. Temporal retries the activity until the writer is available.
    start_to_close_timeout=timedelta(minutes=1),
    schedule_to_close_timeout=MAX_HOLD + timedelta(minutes=45),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
)

READ_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=3),
    schedule_to_close_timeout=MAX_HOLD + timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
)

RELEASE_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=1),
    # This limit is short because a stopped environment reports its problem only after this activity has ended. If AWS
    # is down, the claims remain, and `byok claims` lists them later.
    schedule_to_close_timeout=timedelta(minutes=2),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
)

RECORD_STOP_OPTIONS: Final = ActivityConfig(
    # An attempt makes one call to Temporal.
    start_to_close_timeout=timedelta(seconds=10),
    # This limit is short because a stopped environment reports its problem only after this activity has ended.
    schedule_to_close_timeout=timedelta(seconds=30),
    retry_policy=_RETRY,
)

OPEN_RECORD_OPTIONS: Final = LocalActivityConfig(
    # An attempt makes at most three calls to Temporal.
    start_to_close_timeout=timedelta(seconds=10),
    # An environment must not be created before its record exists.
    schedule_to_close_timeout=timedelta(minutes=15),
    retry_policy=_RETRY,
)

REPORT_OPTIONS: Final = LocalActivityConfig(
    # An attempt makes at most two calls to Temporal, followed by one concurrent call for each endpoint.
    start_to_close_timeout=timedelta(seconds=10),
    # A run publishes its outcome only after this activity has ended.
    schedule_to_close_timeout=timedelta(minutes=1),
    retry_policy=_RETRY,
)

SWEEP_OPTIONS: Final = ActivityConfig(
    # A page of 500 environments usually takes several seconds. If AWS does not respond, each check ends after three
    # attempts.
    start_to_close_timeout=timedelta(minutes=4),
    # If no worker can finish the page in time, the sweep fails, and the schedule starts the next one.
    schedule_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
)

VERIFY_OPTIONS: Final = ActivityConfig(
    # An attempt makes about thirty AWS calls.
    start_to_close_timeout=timedelta(minutes=2),
    # A person waits for the result.
    schedule_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
)

REMOVE_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=3),
    # RDS takes up to half an hour to delete a cluster with its instance.
    schedule_to_close_timeout=MAX_HOLD + timedelta(minutes=60),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)


DELIVER_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=30),  # an attempt takes at most 20 s
    schedule_to_close_timeout=DELIVERY_PERIOD,
    # After a failed attempt, the activity itself sets the pause: it adds random jitter to the values of this policy.
    # Temporal applies this policy only if an attempt does not return, for example because its worker was killed.
    retry_policy=RetryPolicy(
        initial_interval=FIRST_RETRY_PAUSE,
        backoff_coefficient=RETRY_PAUSE_FACTOR,
        maximum_interval=LONGEST_RETRY_PAUSE,
    ),
)

DELIVER_ONCE_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=30),
    # A person waits for the result.
    schedule_to_close_timeout=timedelta(minutes=5),
    retry_policy=RetryPolicy(maximum_attempts=1),
)


def with_summary(config: ActivityConfig, summary: str) -> ActivityConfig:
    """Return the options with a summary, which Temporal's UI shows next to the activity."""
    return {**config, "summary": summary}
