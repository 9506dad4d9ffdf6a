"""Activities that check the health of environments: one page of a sweep, or one environment (contract 139-143)."""

import asyncio
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import rds_resources
from activities.clients import AwsClients
from activities.failures import ActivityContext
from activities.health_check import HealthCheck
from byok.contracts import NO_HEALTH_ERROR_TYPE
from byok.domain import naming
from byok.domain.arns import KeyPurpose
from byok.domain.models import (
    HealthReport,
    HealthState,
    HealthTarget,
    Notification,
    Problem,
    SweepPage,
    SweepPageRequest,
    VerificationRequest,
    VerificationResult,
)
from byok.domain.models.key_deletions import is_disproved
from byok.domain.notifications import (
    WebhookEndpoint,
    build_change_notifications,
    build_missed_notifications,
    build_reminders,
)
from byok.domain.phases import Phase, RequestKind
from byok.domain.planning import Platform, plan_no_environment
from byok.temporal_deliveries import start_deliveries
from byok.temporal_health import list_targets, to_target
from byok.temporal_records import find_record, send_report

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef

COMPARE_EVERY: Final = timedelta(hours=6)
"""How often a sweep compares the settings, tags and claims of a healthy environment. A comparison makes about twenty
AWS calls. If every environment were compared every hour, these calls would take up most of a sweep of 10,000
environments.
"""

_CONCURRENT_CHECKS: Final = 10
"""The maximum number of environments that are checked at the same time. This limit leaves some of the worker's threads
free for other activities.
"""

_PAUSES: Final = (timedelta(milliseconds=500), timedelta(seconds=2))
"""If AWS does not respond to a check, byok repeats the check after these pauses. A single lost connection therefore
does not leave the keys unproved.
"""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class HealthActivities:
    """Checks the keys and the resources of READY environments, and reports changes to the environments' records.

    Attributes:
        endpoints: The endpoints to which byok delivers notifications.
    """

    clients: AwsClients
    platform: Platform
    endpoints: Sequence[WebhookEndpoint] = ()

    @activity.defn
    async def check_page(self, request: SweepPageRequest) -> SweepPage:
        """Check one page of the environments in a Region.

        If a platform fault prevents the check of an environment, the result lists the environment as not proved. The
        fault is not reported to the record of the environment, because a platform fault usually affects the whole
        Region.

        Raises:
            RPCError: Temporal does not respond.
        """
        targets, after = await list_targets(activity.client(), request.region, request.after)
        try:
            clusters = await self._describe_clusters(request.region, targets)
        except ApplicationError as error:
            unproved = tuple(one.environment_id for one in targets)
            return SweepPage(checked=0, unproved=unproved, cause=_get_problem(error), after=after)
        slots, answers = asyncio.Semaphore(_CONCURRENT_CHECKS), list[HealthReport | Problem]()

        async def check(target: HealthTarget) -> HealthReport | Problem:
            async with slots:
                if len(answers) >= _CONCURRENT_CHECKS and all(isinstance(one, Problem) for one in answers):
                    return answers[0]  # AWS is unreachable: skip the other checks, which would also time out
                compare = _is_due(target, request)
                cluster = clusters.get(self._cluster_of(target))
                answers.append(await self._check(target, cluster, request.swept_at, thoroughly=compare))
                return answers[-1]

        found = await asyncio.gather(*(check(target) for target in targets))
        changed, faults = 0, dict[str, Problem]()
        for target, one in zip(targets, found, strict=True):
            if isinstance(one, Problem):
                faults[target.environment_id] = one
            else:
                changed += await self._report(target, one)
        return SweepPage(
            checked=len(targets) - len(faults),
            changed=changed,
            unproved=tuple(faults),
            cause=next(iter(faults.values()), None),
            after=after,
        )

    @activity.defn
    async def verify_environment(self, request: VerificationRequest) -> VerificationResult:
        """Run the complete check of one environment now, and report the result to the environment's record.

        Raises:
            ApplicationError: The environment has no record, or is not READY.
            RPCError: Temporal does not respond.
        """
        client, checked_at = activity.client(), activity.info().current_attempt_scheduled_time
        record = await find_record(client, request.environment_id)
        target = to_target(record.summary) if record is not None and record.is_open else None
        if target is None:
            message = f"{request.environment_id} is not READY. Only a READY environment has a health status."
            raise ApplicationError(message, type=NO_HEALTH_ERROR_TYPE, non_retryable=True)
        try:
            clusters = await self._describe_clusters(target.region, [target])
        except ApplicationError as error:
            return VerificationResult(unreachable=_get_problem(error))
        found = await self._check(target, clusters.get(self._cluster_of(target)), checked_at, thoroughly=True)
        if isinstance(found, Problem):
            return VerificationResult(unreachable=found)
        await self._report(target, found, always=True)
        return VerificationResult(report=found)

    async def _report(self, target: HealthTarget, report: HealthReport, *, always: bool = False) -> bool:
        """Report the result of a check to the record, and start the deliveries to the endpoints.

        A worker can be killed at any moment, and the next check can have another result. The record therefore marks a
        change as unannounced until the deliveries have been started. Each check first starts the deliveries that an
        earlier check did not start (contract 144).

        Returns:
            Whether the report contains anything that the record did not contain.
        """
        last = target.last
        await self._notify(build_missed_notifications(target))
        changes = build_change_notifications(target, report) if self.endpoints else ()
        if changes and last is not None:
            before = last.model_copy(update={"unannounced": None})
            await self._send(report.model_copy(update={"unannounced": before}))
        await self._notify((*changes, *build_reminders(target, report)))
        is_news = _is_news(report, target) or (last is not None and last.unannounced is not None)
        if always or changes or is_news:
            await self._send(report)
        return is_news

    async def _notify(self, notifications: Sequence[Notification]) -> None:
        for notification in notifications:
            await start_deliveries(activity.client(), activity.info().task_queue, notification, self.endpoints)

    async def _send(self, report: HealthReport) -> None:
        await send_report(activity.client(), activity.info().task_queue, report)

    async def _check(
        self, target: HealthTarget, cluster: "DBClusterTypeDef | None", at: datetime, *, thoroughly: bool
    ) -> HealthReport | Problem:
        """Check one environment. If a platform fault prevents the check, return the problem."""
        check = HealthCheck(self.clients, self.platform, target, cluster, at)
        try:
            return await _with_retries(lambda: check.run(thoroughly=thoroughly))
        except ApplicationError as error:
            return _get_problem(error)

    async def _describe_clusters(self, region: str, targets: "list[HealthTarget]") -> "Mapping[str, DBClusterTypeDef]":
        """Describe the clusters of all targets, up to a hundred per call.

        Raises:
            ApplicationError: RDS did not respond, or rejected the call.
        """
        environment = plan_no_environment(self.platform).model_copy(update={"region": region})
        step = ActivityContext(environment, self.platform.vendor, Phase.READY, KeyPurpose.RDS, RequestKind.HEALTH)
        rds, found = self.clients.rds(region), dict[str, "DBClusterTypeDef"]()

        def describe(names: list[str]) -> "dict[str, DBClusterTypeDef]":
            with step.translate_aws_errors():
                return rds_resources.find_clusters(rds, names)

        names = [self._cluster_of(target) for target in targets]
        for start in range(0, len(names), rds_resources.MAX_RECORDS):
            some = names[start : start + rds_resources.MAX_RECORDS]
            found |= await _with_retries(partial(describe, some))
        return found

    def _cluster_of(self, target: HealthTarget) -> str:
        return naming.cluster_identifier(self.platform.vendor, target.environment_id)


async def _with_retries(call: Callable[[], _Result]) -> _Result:
    """Run a blocking function in a thread, and retry it a few times after a retryable error."""
    for pause in _PAUSES:
        try:
            return await asyncio.to_thread(call)
        except ApplicationError as error:
            if error.non_retryable:
                raise
        await asyncio.sleep(pause.total_seconds())
    return await asyncio.to_thread(call)


def _get_problem(error: ApplicationError) -> Problem:
    return Problem.model_validate(error.details[0])


def _is_due(target: HealthTarget, request: SweepPageRequest) -> bool:
    """Return whether a sweep compares the settings of an environment.

    Every sweep compares the settings of environments that are not HEALTHY, because only a comparison can show that a
    difference is gone. HEALTHY environments take turns: each sweep compares the settings of an equal share of them.
    """
    if target.last is None or target.last.state is not HealthState.HEALTHY:
        return True
    shares = max(1, round(COMPARE_EVERY.total_seconds() / request.interval_seconds))
    turn = int(request.swept_at.timestamp() // request.interval_seconds)
    return zlib.crc32(target.environment_id.encode()) % shares == turn % shares


def _is_news(report: HealthReport, target: HealthTarget) -> bool:
    """Return whether a report contains anything that the record does not contain yet."""
    last = target.last
    if any(is_disproved(one, report) for one in target.deletions):
        return True
    if last is not None and last.digest is None:  # no check has reported since the environment became READY
        return report.state is not last.state
    return last is None or report.digest != last.digest
