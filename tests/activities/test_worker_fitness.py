"""A worker polls only while it has valid credentials for the platform role and a correct clock (contract 151).

The checks call the local AWS emulator, and the workers poll a real Temporal server.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from botocore.config import Config
from temporalio import activity
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from byok.service.pollers import Workers, list_workers
from byok.worker_fitness import Fitness, FitnessResult, WorkerIdentity, WorkerSupervisor
from localaws.accounts import OPERATOR_CREDENTIALS, PLATFORM_CREDENTIALS, PLATFORM_ROLE_ARN
from tests.activities.test_grace import OneActivityWorkflow
from tests.faults.skewed_clock_proxy import SkewedClockProxy
from tests.localaws.server import REGION, AwsHarness

FIT = FitnessResult(Fitness.FIT)
OTHER_ROLE = "arn:aws:iam::111122223333:role/Other"


@dataclass
class Credentials:
    """The credentials file of a worker, which a test can change."""

    path: Path

    def write(self, key: str, secret: str) -> None:
        self.path.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


@pytest.fixture
def credentials(aws: AwsHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Credentials:
    """The platform role's credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    found = Credentials(tmp_path / "credentials")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(found.path))
    found.write(*PLATFORM_CREDENTIALS)
    return found


def make_identity(platform_role_arn: str | None = PLATFORM_ROLE_ARN) -> WorkerIdentity:
    """Build a `WorkerIdentity` that reads the credentials and the endpoint from environment variables."""
    config = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
    return WorkerIdentity(config, REGION, platform_role_arn)


@pytest.mark.usefixtures("credentials")
def test_platform_role_is_fit() -> None:
    assert make_identity().check() == FIT


@pytest.mark.usefixtures("credentials")
def test_platform_role_is_the_role_of_the_credentials_unless_configured() -> None:
    identity = make_identity(None)

    assert identity.check().fitness is Fitness.FIT
    assert identity.platform_role_arn == PLATFORM_ROLE_ARN


def test_user_without_a_configured_role_is_a_wrong_setting(credentials: Credentials) -> None:
    credentials.write(*OPERATOR_CREDENTIALS)

    with pytest.raises(RuntimeError, match=r"BYOK_PLATFORM_ROLE_ARN is not set, and .*user/Operator is not a role"):
        make_identity(None).check()


def test_worker_without_credentials_is_unfit_until_it_gets_some(credentials: Credentials) -> None:
    credentials.remove()
    identity = make_identity()

    result = identity.check()
    credentials.write(*PLATFORM_CREDENTIALS)

    reason = "The worker has no usable AWS credentials: Unable to locate credentials"
    assert result == FitnessResult(Fitness.UNFIT, reason)
    assert identity.check().fitness is Fitness.FIT


def test_worker_with_invalid_credentials_is_unfit(credentials: Credentials) -> None:
    credentials.write("ASIAUNKNOWN000000000", "secret")

    result = make_identity().check()

    assert result.fitness is Fitness.UNFIT
    assert result.reason.startswith("AWS rejects the worker's credentials: InvalidClientTokenId: ")


@pytest.mark.usefixtures("credentials")
def test_worker_with_another_role_is_unfit() -> None:
    result = make_identity(OTHER_ROLE).check()

    assert result.fitness is Fitness.UNFIT
    assert result.reason == (
        f"The worker runs as arn:aws:sts::111122223333:assumed-role/AtaccamaPlatform/worker, not as {OTHER_ROLE}."
    )


@pytest.mark.parametrize(
    ("minutes", "reason"),
    [(6, "s ahead of AWS's clock."), (-6, "s behind AWS's clock."), (4, ""), (-4, "")],
)
@pytest.mark.usefixtures("credentials")
async def test_clock_may_differ_by_less_than_five_minutes(
    aws: AwsHarness, monkeypatch: pytest.MonkeyPatch, minutes: int, reason: str
) -> None:
    port = int(aws.endpoint.rpartition(":")[2])
    async with SkewedClockProxy(port, timedelta(minutes=minutes)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")

        result = await asyncio.to_thread(make_identity().check)

    assert result.fitness is (Fitness.UNFIT if reason else Fitness.FIT)
    assert result.reason.endswith(reason)


@pytest.mark.usefixtures("credentials")
def test_throttled_check_says_nothing_about_the_worker(aws: AwsHarness) -> None:
    aws.call_control("POST", "faults", service="sts", operation="GetCallerIdentity", kind="throttle")

    result = make_identity().check()

    assert result.fitness is Fitness.UNKNOWN
    assert "Throttling" in result.reason


@pytest.mark.usefixtures("credentials")
def test_unreachable_aws_says_nothing_about_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    result = make_identity().check()

    assert result.fitness is Fitness.UNKNOWN
    assert result.reason.startswith("AWS cannot be reached: ")


@activity.defn
async def _work() -> None: ...


@dataclass
class Supervised:
    """A supervised worker; a test sets the result of the worker's checks."""

    temporal: WorkflowEnvironment
    result: FitnessResult = FIT
    queue: str = field(default_factory=lambda: f"fitness-{uuid.uuid4().hex}")
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    checks: int = 0

    def check(self) -> FitnessResult:
        self.checks += 1
        return self.result

    async def run(self) -> None:
        def make_worker() -> Worker:
            return Worker(
                self.temporal.client, task_queue=self.queue, activities=[_work], workflows=[OneActivityWorkflow]
            )

        supervisor = WorkerSupervisor(
            self.temporal.client, self.queue, self.check, make_worker, timedelta(milliseconds=50)
        )
        await supervisor.run(self.stop)

    async def wait_for(self, fact: Callable[[Workers], bool]) -> Workers:
        """Wait until the workers that Temporal lists satisfy a condition, and return them."""
        async with asyncio.timeout(20):
            while not fact(found := await list_workers(self.temporal.client, self.queue)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found


@pytest_asyncio.fixture
async def supervised(temporal: WorkflowEnvironment) -> AsyncIterator[Supervised]:
    """A supervised worker whose checks pass until a test changes the result."""
    one = Supervised(temporal)
    running = asyncio.create_task(one.run())
    yield one
    one.stop.set()
    await asyncio.wait_for(running, 20)


async def test_worker_stops_polling_while_it_is_unfit_and_says_why(supervised: Supervised) -> None:
    identity = supervised.temporal.client.identity
    fit = await supervised.wait_for(lambda found: bool(found.fit))
    assert ([one.identity for one in fit.fit], fit.unfit) == ([identity], [])

    supervised.result = FitnessResult(Fitness.UNFIT, "The worker's clock is 400 s behind AWS's clock.")
    unfit = await supervised.wait_for(lambda found: bool(found.unfit))
    assert unfit.fit == []
    assert [(one.identity, one.reason) for one in unfit.unfit] == [(identity, supervised.result.reason)]

    supervised.result = FIT
    again = await supervised.wait_for(lambda found: bool(found.fit))
    assert ([one.identity for one in again.fit], again.unfit) == ([identity], [])


async def test_running_worker_continues_if_aws_does_not_answer_the_check(supervised: Supervised) -> None:
    await supervised.wait_for(lambda found: bool(found.fit))
    supervised.result, supervised.checks = FitnessResult(Fitness.UNKNOWN, "AWS cannot be reached"), 0

    found = await supervised.wait_for(lambda _: supervised.checks > 2)

    assert (len(found.fit), found.unfit) == (1, [])
