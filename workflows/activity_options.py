"""All timeouts and retry policies of the workflows, each with the reason for its value.

Temporal handles all retries: botocore makes one attempt, and the activities decide which errors to retry and when
(`next_retry_delay`). Every activity has a time limit across all attempts (`schedule_to_close_timeout`), except the
removal of a cluster that proved a key.

Most time limits are the sum of two maximums: the maximum time that the activity waits for a resource, and `MAX_HOLD`,
the maximum time that the activity holds because of a platform fault (contract 151). The activity itself measures how
long it has waited for the resource, and leaves out the time during which it held (`activities.holds.has_patience_for`).
If a fault lasts longer than the limit, the workflow stops and reports the fault. You can then replay the stopped
workflow.
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
safeguard, and Temporal's UI shows the list."""

_RETRY: Final = RetryPolicy(
    # Users do not notice a pause this short.
    initial_interval=timedelta(milliseconds=500),
    backoff_coefficient=2,
    # `maximum_interval` applies only while a resource is busy. While an activity holds, the pauses grow to minutes
    # (`byok.domain.holding`).
    maximum_interval=timedelta(seconds=5),
    non_retryable_error_types=_DEFINITE,
)

HEARTBEAT_TIMEOUT: Final = timedelta(seconds=8)
"""Activities send a heartbeat every 3 s. Temporal notices after 8 s that a worker was killed, and another worker starts
the next attempt within 10 s."""


def without_hold(config: ActivityConfig) -> ActivityConfig:
    """Return the options with `MAX_HOLD` subtracted from the time limit.

    A key check uses these options. A person waits for the verdict, so the check must not hold for hours.
    """
    limit = config["schedule_to_close_timeout"]
    return {**config, "schedule_to_close_timeout": None if limit is None else limit - MAX_HOLD}


PLAN_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),  # the activity only computes; it calls no service
    schedule_to_close_timeout=MAX_HOLD + timedelta(minutes=15),
    retry_policy=_RETRY,
)

LOCAL_PLAN_OPTIONS: Final = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=10),
    # The activity fails only because of a bug in byok, which no number of retries would fix.
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
    # This timeout exceeds the 15 minutes that the proof may take in its own workflow.
    start_to_close_timeout=timedelta(minutes=16),
    schedule_to_close_timeout=timedelta(minutes=20),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.TRY_CANCEL,
)

REUSE_PROOF_FOR: Final = timedelta(minutes=10)
"""How long later checks may reuse the proof of an Aurora key."""

REMOVE_PROOF_OPTIONS: Final = ActivityConfig(
    # An attempt makes at most six AWS calls. There is no time limit across all attempts, because an activity that gave
    # up would leave the cluster behind.
    start_to_close_timeout=timedelta(minutes=3),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)

WRITE_OPTIONS: Final = ActivityConfig(
    # An attempt makes at most fourteen AWS calls, which is the number needed to adopt a bucket.
    start_to_close_timeout=timedelta(minutes=3),
    schedule_to_close_timeout=MAX_HOLD + timedelta(minutes=15),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
    # A cancelled workflow waits for a running write to finish, so that the write's result is known and reported.
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
    start_to_close_timeout=timedelta(seconds=10),  # an attempt makes at most three calls to Temporal
    # Without its record, an environment must not be created.
    schedule_to_close_timeout=timedelta(minutes=15),
    retry_policy=_RETRY,
)

REPORT_OPTIONS: Final = LocalActivityConfig(
    # An attempt makes at most two calls to Temporal, and then one call for each endpoint, all at the same time.
    start_to_close_timeout=timedelta(seconds=10),
    # A run shows its outcome only after this activity has ended.
    schedule_to_close_timeout=timedelta(minutes=1),
    retry_policy=_RETRY,
)

SWEEP_OPTIONS: Final = ActivityConfig(
    # A page of 500 environments takes some seconds. If AWS does not respond, each check ends after three attempts.
    start_to_close_timeout=timedelta(minutes=4),
    # If no worker can finish the page in time, the sweep fails, and the schedule starts the next one.
    schedule_to_close_timeout=timedelta(minutes=5),
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=_RETRY,
)

VERIFY_OPTIONS: Final = ActivityConfig(
    start_to_close_timeout=timedelta(minutes=2),  # an attempt makes some thirty AWS calls
    schedule_to_close_timeout=timedelta(minutes=5),  # a person waits for the result
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
    # The activity chooses the same pauses with a random extra. This policy applies after an attempt that did not end,
    # for example because its worker was killed.
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
    """Return the options with a summary added, which Temporal's UI shows next to the activity."""
    return {**config, "summary": summary}
