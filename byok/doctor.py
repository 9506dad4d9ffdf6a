"""The checks of `byok doctor`.

Each check reports whether byok can reach and use one of its dependencies. If not, the check also reports how to fix the
problem.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.service import RPCError

from byok import __version__
from byok.audit.journal import read_backlog
from byok.blueprints import DEFAULT_PATH, load_blueprint
from byok.contracts import SEARCH_ATTRIBUTES, health_schedule_id, name_attribute_type
from byok.domain.arns import is_session_of_role, role_arn_of_session
from byok.domain.models import SweepOutcome
from byok.domain.models.health import MAX_PROOF_AGE
from byok.service.connection import connect_service
from byok.service.environments import EnvironmentService
from byok.service.errors import ServiceError
from byok.service.pollers import PollingWorker
from byok.service.versions import set_current_version_command
from byok.settings import Settings
from byok.temporal_health import read_sweep
from byok.temporal_reads import describe_or_none
from byok.worker_fitness import MAX_CLOCK_SKEW, measure_clock_skew

_LONGEST_SHIPPING_DELAY: Final = timedelta(minutes=15)
_AWS: Final = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1, "mode": "standard"})


@dataclass(frozen=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: The name of the check, for example `AWS`.
        ok: Whether the check passed.
        detail: What the check found.
        fix: How to fix a failed check; None if the check passed.
    """

    name: str
    ok: bool
    detail: str
    fix: str | None = None


async def run_checks(settings: Settings) -> list[CheckResult]:
    """Run all checks. A check that cannot run counts as failed."""
    temporal, aws = await asyncio.gather(_temporal(settings), asyncio.to_thread(lambda: list(_aws(settings))))
    return [
        CheckResult("byok", ok=True, detail=f"version {__version__}"),
        *temporal,
        *aws,
        _blueprint(settings),
        _audit_trail(settings),
    ]


async def _temporal(settings: Settings) -> list[CheckResult]:
    try:
        service = await connect_service()
    except ServiceError as error:
        return [
            CheckResult(
                "Temporal",
                ok=False,
                detail=str(error),
                fix="Start the server, or correct TEMPORAL_ADDRESS. To run everything on this machine: byok up",
            )
        ]
    looks: list[tuple[str, Callable[[EnvironmentService], Awaitable[CheckResult]]]] = [
        ("Temporal", _server),
        ("search attributes", _search_attributes),
        ("workers", _workers),
    ]
    if settings.health_check_seconds:
        looks += [("health checks", partial(check_sweeps, region=region)) for region in settings.regions]
    else:
        looks.append(("health checks", _no_sweeps))
    checks = []
    for what, look in looks:
        try:
            checks.append(await look(service))
        except (RPCError, ServiceError) as error:
            checks.append(
                CheckResult(
                    what, ok=False, detail=str(error), fix="Check that the namespace exists and that you have access."
                )
            )
    return checks


async def _server(service: EnvironmentService) -> CheckResult:
    info = await service.client.workflow_service.get_system_info(GetSystemInfoRequest())
    address = service.client.service_client.config.target_host
    detail = f"{address}, namespace {service.client.namespace}, server {info.server_version}"
    return CheckResult("Temporal", ok=True, detail=detail)


async def _search_attributes(service: EnvironmentService) -> CheckResult:
    known = await service.client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=service.client.namespace)
    )
    missing = [key for key in SEARCH_ATTRIBUTES if key.name not in known.custom_attributes]
    if not missing:
        return CheckResult("search attributes", ok=True, detail=", ".join(key.name for key in SEARCH_ATTRIBUTES))
    options = " ".join(f"--name {key.name} --type {name_attribute_type(key)}" for key in missing)
    return CheckResult(
        "search attributes",
        ok=False,
        detail=f"missing: {', '.join(key.name for key in missing)}",
        fix=f"Start a worker, which adds the attributes, or run: temporal operator search-attribute create {options}",
    )


async def _workers(service: EnvironmentService) -> CheckResult:
    found, routing = await service.list_all_workers(), await service.read_routing()
    workers = found.fit
    if found.unfit:
        reasons = "; ".join(f"{worker.identity}: {worker.reason}" for worker in found.unfit)
        all_of_them = "" if workers else "no worker can take new work, so new work waits: "
        return CheckResult(
            "workers",
            ok=False,
            detail=f"{all_of_them}unfit: {reasons}" if workers else f"{all_of_them}{reasons}",
            fix="Correct the credentials or the clock of these workers; they then resume automatically.",
        )
    if not workers:
        return CheckResult(
            "workers", ok=False, detail="no worker is polling the task queue", fix="Start one: byok worker"
        )
    detail = ", ".join(_with_build(worker) for worker in workers)
    if any(routing.accepts_version(worker.version) for worker in workers):
        return CheckResult("workers", ok=True, detail=detail)
    current = (
        f"build {routing.current.build_id} is the current version"
        if routing.current
        else "no build is the current version"
    )
    return CheckResult(
        "workers", ok=False, detail=f"{detail}; new work waits: {current}", fix=set_current_version_command(workers)
    )


async def _no_sweeps(_: EnvironmentService) -> CheckResult:
    detail = "turned off: BYOK_HEALTH_CHECK_SECONDS is 0, so workers create no schedule"
    return CheckResult("health checks", ok=True, detail=detail)


async def check_sweeps(service: EnvironmentService, region: str) -> CheckResult:
    """Check that the health checks in a Region are running.

    The schedule must exist and must not be paused. The latest sweep must be recent, and must have received answers from
    AWS.
    """
    name, schedule_id = "health checks", health_schedule_id(region)
    schedule = await describe_or_none(service.client.get_schedule_handle(schedule_id))
    if schedule is None:
        fix = "Start a worker, which creates the schedule: byok worker"
        return CheckResult(name, ok=False, detail=f"the schedule {schedule_id} does not exist", fix=fix)
    sweep, now = await read_sweep(service.client, region), datetime.now(UTC)
    detail = f"{region}: {_describe_sweep(sweep, now)}"
    if schedule.schedule.state.paused:
        note = schedule.schedule.state.note
        return CheckResult(
            name,
            ok=False,
            detail=f"{detail}; the schedule is paused{f' ({note})' if note else ''}",
            fix=f"temporal schedule toggle --unpause --schedule-id {schedule_id}",
        )
    newest = schedule.info.created_at if sweep is None else sweep.swept_at
    if now - newest > MAX_PROOF_AGE:
        return CheckResult(
            name,
            ok=False,
            detail=f"{detail}, so all environments in {region} are UNKNOWN",
            fix=f"Check that a worker is running. Then start a sweep: temporal schedule trigger --schedule-id "
            f"{schedule_id}. If the sweep fails, Temporal shows why: temporal workflow list --query "
            "\"WorkflowType = 'CheckKeyHealth'\"",
        )
    if sweep is not None and sweep.cause is not None:
        return CheckResult(
            name,
            ok=False,
            detail=f"{detail}; AWS did not answer about {_count(sweep.unproved_count)}: {sweep.cause.code}: "
            f"{sweep.cause.message}",
            fix="Correct the cause. The next sweep checks these environments again.",
        )
    return CheckResult(name, ok=True, detail=detail)


def _describe_sweep(sweep: SweepOutcome | None, now: datetime) -> str:
    if sweep is None:
        return "no sweep has completed recently"
    minutes = int((now - sweep.swept_at).total_seconds() // 60)
    when = f"{sweep.swept_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"last sweep {minutes} min ago ({when}), {_count(sweep.checked)} checked"


def _count(environments: int) -> str:
    return f"{environments} environment{'' if environments == 1 else 's'}"


def _with_build(worker: PollingWorker) -> str:
    version = worker.version
    return f"{worker.identity} (build {version.build_id} of {version.deployment_name})" if version else worker.identity


def _aws(settings: Settings) -> Iterator[CheckResult]:
    try:
        session = boto3.Session()
        region, profile = session.region_name, session.profile_name
        sts = session.client("sts", config=_AWS, region_name=region or "us-east-1")
        answer = sts.get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        yield CheckResult(
            "AWS",
            ok=False,
            detail=str(error),
            fix="Check AWS_ENDPOINT_URL, AWS_PROFILE and the credentials: `aws sts get-caller-identity` must succeed.",
        )
        return
    where, caller = sts.meta.endpoint_url, answer["Arn"]
    yield CheckResult("AWS", ok=True, detail=f"{caller} at {where}, profile {profile}, Region {region or 'none'}")
    yield _platform_role(settings, caller)
    yield _clock(measure_clock_skew(answer))


def _platform_role(settings: Settings, caller: str) -> CheckResult:
    own = role_arn_of_session(caller)
    wanted = settings.platform_role_arn
    if wanted is None and own is None:
        return CheckResult(
            "platform role",
            ok=False,
            detail=f"{caller} is not a role session, and BYOK_PLATFORM_ROLE_ARN is not set",
            fix="Set BYOK_PLATFORM_ROLE_ARN to the role to which the customers' key policies grant access, and assume "
            "that role.",
        )
    if wanted is None:
        return CheckResult("platform role", ok=True, detail=f"{own}, the role of these credentials")
    if not is_session_of_role(caller, wanted):
        return CheckResult(
            "platform role",
            ok=False,
            detail=f"key policies grant access to {wanted}, but these credentials belong to {caller}",
            fix=f"Run workers with credentials for {wanted}: the key policies grant no access to the current "
            "credentials.",
        )
    return CheckResult("platform role", ok=True, detail=wanted)


def _clock(skew: timedelta | None) -> CheckResult:
    if skew is None or abs(skew) < MAX_CLOCK_SKEW:
        return CheckResult("clock", ok=True, detail="differs from AWS's clock by less than five minutes")
    return CheckResult(
        "clock",
        ok=False,
        detail=f"differs from AWS's clock by {int(abs(skew).total_seconds())} s",
        fix="Synchronise this machine's clock: AWS rejects requests whose timestamps are more than five minutes off.",
    )


def _audit_trail(settings: Settings) -> CheckResult:
    audit = settings.audit
    try:
        backlog = read_backlog(audit.directory)
    except OSError as error:
        fix = "Run byok doctor as the user that runs the worker, or correct BYOK_AUDIT__DIRECTORY."
        return CheckResult("audit trail", ok=False, detail=f"{audit.directory}: {error}", fix=fix)
    where = f"to the bucket {audit.bucket}" if audit.bucket else "nowhere, because no bucket is set"
    detail = f"{audit.directory}: {backlog.pieces} files, {backlog.size_bytes} bytes, shipped {where}"
    late = datetime.now(UTC) - _LONGEST_SHIPPING_DELAY
    if audit.bucket is None or backlog.oldest is None or backlog.oldest > late:
        return CheckResult("audit trail", ok=True, detail=detail)
    return CheckResult(
        "audit trail",
        ok=False,
        detail=f"{detail}; the oldest file is from {backlog.oldest:%Y-%m-%d %H:%M} UTC",
        fix="No audit record is lost. See audit_shipping_failed in the logs of the worker and the web server.",
    )


def _blueprint(settings: Settings) -> CheckResult:
    path = settings.blueprint or DEFAULT_PATH
    try:
        blueprint = load_blueprint(settings.blueprint)
    except ValueError as error:
        return CheckResult("blueprint", ok=False, detail=str(error), fix="Correct the file, or unset BYOK_BLUEPRINT.")
    purposes = ", ".join(bucket.purpose for bucket in blueprint.buckets)
    return CheckResult("blueprint", ok=True, detail=f"{path}: buckets {purposes}")
