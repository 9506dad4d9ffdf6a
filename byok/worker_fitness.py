"""A worker polls for work only while it is fit.

A worker is fit if its credentials are valid and belong to the platform role, and its clock is correct. If an unfit
worker polled for work, every activity on it would fail within milliseconds, so it would take most of the work away from
fit workers.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectionError,
    HTTPClientError,
)
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from byok.contracts import build_unfit_identity, unfit_task_queue
from byok.domain.arns import is_session_of_role, role_arn_of_session
from byok.domain.problems.aws_errors import classify_error
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

MAX_CLOCK_SKEW: Final = timedelta(minutes=5)
"""A request must reach AWS within five minutes of its timestamp (IAM user guide, "AWS Signature Version 4 for API
requests"). Some services accept a delay of fifteen minutes."""

MAX_UNFIT_INTERVAL: Final = timedelta(seconds=30)
"""The maximum time between two checks of an unfit worker.

The time is short, so that the worker starts polling soon after an operator corrects the credentials or the clock.
"""


class Fitness(StrEnum):
    """The result of a check.

    UNKNOWN means that AWS did not check the worker's credentials, for example because AWS could not be reached. byok
    then does not know whether the worker is fit.
    """

    FIT = "fit"
    UNFIT = "unfit"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class FitnessResult:
    """The result of a check, and the reason if the worker is not fit."""

    fitness: Fitness
    reason: str = ""


class WorkerIdentity:
    """Checks the worker's identity and clock with GetCallerIdentity, which requires no permissions (STS API reference).

    Attributes:
        session: The session of the last check. An unfit worker gets a new session for each check, because a session
            caches its credentials.
        platform_role_arn: The role that the worker must have: the configured role or, if no role is configured, the
            role of the first session.

    Args:
        config: The configuration of the STS client.
        region: The Region of the STS endpoint.
        platform_role_arn: The configured role, if any.
    """

    def __init__(self, config: Config, region: str, platform_role_arn: str | None) -> None:
        self.session: boto3.Session | None = None
        self.platform_role_arn = platform_role_arn
        self._sts: STSClient | None = None
        self._config = config
        self._region = region

    def check(self) -> FitnessResult:
        """Check the worker. The call blocks.

        Raises:
            RuntimeError: `BYOK_PLATFORM_ROLE_ARN` is not set, and the worker's credentials do not belong to a role. The
                worker cannot recover by itself, because only an operator knows to which role the customers' key
                policies grant access.
        """
        result = self._check()
        if result.fitness is Fitness.UNFIT:
            self.session = self._sts = None
        return result

    def _check(self) -> FitnessResult:
        try:
            if self._sts is None:  # once per session, because creating a client is not thread-safe
                self.session = boto3.Session()
                self._sts = self.session.client("sts", region_name=self._region, config=self._config)
            answer = self._sts.get_caller_identity()
        except ClientError as error:
            return _explain_refusal(error)
        except (ConnectionError, ConnectionClosedError, HTTPClientError) as error:
            return FitnessResult(Fitness.UNKNOWN, f"AWS cannot be reached: {error}")
        except BotoCoreError as error:
            return FitnessResult(Fitness.UNFIT, f"The worker has no usable AWS credentials: {error}")
        caller = answer["Arn"]
        if self.platform_role_arn is None:
            self.platform_role_arn = _require_role(caller)
        if not is_session_of_role(caller, self.platform_role_arn):
            return FitnessResult(Fitness.UNFIT, f"The worker runs as {caller}, not as {self.platform_role_arn}.")
        return _explain_skew(measure_clock_skew(answer)) or FitnessResult(Fitness.FIT)


def measure_clock_skew(answer: Mapping[str, Any]) -> timedelta | None:
    """Return how far this machine's clock is ahead of AWS's clock, according to the `Date` header of a response.

    Returns:
        The difference, negative if the clock is behind, or None if the response has no valid date.
    """
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    with suppress(TypeError, ValueError):
        return datetime.now(UTC) - parsedate_to_datetime(date)
    return None


def _explain_skew(skew: timedelta | None) -> FitnessResult | None:
    if skew is None or abs(skew) < MAX_CLOCK_SKEW:
        return None
    where = "ahead of" if skew > timedelta(0) else "behind"
    seconds = int(abs(skew).total_seconds())
    return FitnessResult(Fitness.UNFIT, f"The worker's clock is {seconds} s {where} AWS's clock.")


def _explain_refusal(error: ClientError) -> FitnessResult:
    skewed = _explain_skew(measure_clock_skew(error.response))
    if skewed is not None:
        return skewed
    code, message = error.response.get("Error", {}).get("Code", ""), error.response.get("Error", {}).get("Message", "")
    if classify_error("sts", code, message).remedy is Remedy.WAIT:
        return FitnessResult(Fitness.UNKNOWN, f"AWS did not check the worker's credentials: {code}: {message}")
    return FitnessResult(Fitness.UNFIT, f"AWS rejects the worker's credentials: {code}: {message}")


def _require_role(caller: str) -> str:
    role = role_arn_of_session(caller)
    if role is None:
        raise RuntimeError(
            f"BYOK_PLATFORM_ROLE_ARN is not set, and {caller} is not a role session. "
            "Set the variable to the role to which the customers' key policies grant access."
        )
    return role


@activity.defn(name="unfit")
async def _take_no_work() -> None:
    """Do nothing, because this activity is never scheduled.

    An unfit worker polls only so that Temporal's list of workers shows why the worker is unfit.
    """


@dataclass(frozen=True)
class WorkerSupervisor:
    """Runs a worker while it is fit, and otherwise shows in Temporal why the worker is unfit.

    Attributes:
        check: The function that checks the worker. The supervisor calls the function in a thread.
        make_worker: Creates a new worker whenever the check finds that the process is fit again.
        interval: The time between two checks.
        details: Additional fields for the log line that reports the start of the worker.
    """

    client: Client
    task_queue: str
    check: Callable[[], FitnessResult]
    make_worker: Callable[[], Worker]
    interval: timedelta
    details: Mapping[str, str | None] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        Raises:
            RuntimeError: The check failed (see `WorkerIdentity.check`), or the worker failed.
        """
        while not stop.is_set():
            result = await asyncio.to_thread(self.check)
            if result.fitness is Fitness.FIT:
                await self._work(stop)
            else:
                await self._show_unfit(result.reason, stop)

    async def _work(self, stop: asyncio.Event) -> None:
        """Poll for work until a check finds that the worker is unfit.

        If the result of a check is UNKNOWN, the worker continues.
        """
        log = structlog.get_logger()
        async with self.make_worker():
            log.info("worker_started", task_queue=self.task_queue, namespace=self.client.namespace, **self.details)
            while not await _is_set_within(stop, self.interval):
                result = await asyncio.to_thread(self.check)
                if result.fitness is Fitness.UNFIT:
                    break
            log.info("worker_stopping")

    async def _show_unfit(self, reason: str, stop: asyncio.Event) -> None:
        structlog.get_logger().error("worker_unfit", reason=reason)
        interval = min(self.interval, MAX_UNFIT_INTERVAL)
        async with Worker(
            self.client,
            task_queue=unfit_task_queue(self.task_queue),
            activities=[_take_no_work],
            identity=build_unfit_identity(self.client.identity, reason),
            max_concurrent_activities=1,
            max_concurrent_activity_task_polls=1,
        ):
            await _is_set_within(stop, interval)


async def _is_set_within(event: asyncio.Event, duration: timedelta) -> bool:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), duration.total_seconds())
    return event.is_set()
