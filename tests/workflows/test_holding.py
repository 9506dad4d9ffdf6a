"""A platform fault puts an environment on hold (contract 151).

The tests use a real Temporal server with a virtual clock. The fake activities raise the errors that botocore raises,
and the real code of the activities translates these errors.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from temporalio import activity

from activities.failures import ActivityContext
from byok.domain.arns import KeyPurpose
from byok.domain.holding import MAX_HOLD
from byok.domain.models import DatabaseTask
from byok.domain.phases import Phase
from byok.service import pending
from byok.service.environments import EnvironmentService
from byok.service.pending import describe_pending_step
from byok.wizard.views import StatusView
from tests.remedy_text import text_of
from tests.workflows.fake_activities import PLATFORM, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until, wait_until_ended

STEP = "ensure_cluster"
HOUR = timedelta(hours=1)


class Answers:
    """The scripted responses of AWS to the attempts of the activity that creates the cluster.

    Attributes:
        attempts: When each attempt began, according to Temporal.
    """

    def __init__(self, harness: WorkflowHarness) -> None:
        self._harness = harness
        self.attempts: list[datetime] = []

    @property
    def _context(self) -> ActivityContext:
        task: DatabaseTask = self._harness.activities.inputs[STEP][-1]
        return ActivityContext(task.environment, PLATFORM.vendor, Phase.CREATING_CLUSTER, KeyPurpose.RDS)

    def refuse(self, code: str, message: str) -> Callable[[], None]:
        """Return a step in which RDS returns an error."""

        def step() -> None:
            self.attempts.append(activity.info().started_time)
            response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"byok-service": "rds"}}
            with self._context.translate_aws_errors():
                raise ClientError(response, "CreateDBCluster")  # type: ignore[arg-type]

        return step

    def wait_for(self, delay: timedelta) -> Callable[[], None]:
        """Return a step in which the cluster is not ready yet."""

        def step() -> None:
            self.attempts.append(activity.info().started_time)
            raise self._context.retry_later_error("rds.NotReady", "byok-acme is creating.", delay)

        return step

    def succeed_after(self, released: threading.Event) -> Callable[[], None]:
        """Return a step that succeeds once an event is set."""

        def step() -> None:
            assert released.wait(60)

        return step

    def script(self, *steps: Callable[[], None]) -> None:
        """Run one of these steps in each of the first attempts; later attempts succeed."""
        self._harness.activities.script[STEP] = list(steps)


@pytest.fixture
def answers(harness: WorkflowHarness) -> Answers:
    """The scripted responses of AWS."""
    return Answers(harness)


def count_by_hour(attempts: list[datetime]) -> Iterator[int]:
    """Count the attempts in the hour that follows each attempt."""
    for first in attempts:
        yield sum(first <= one < first + HOUR for one in attempts)


@pytest.mark.virtual_time
async def test_environment_survives_an_hour_of_throttling_with_few_calls(
    service: EnvironmentService, answers: Answers, environment_id: str
) -> None:
    answers.script(*[answers.refuse("Throttling", "Rate exceeded")] * 20)
    await service.create(build_provision_request(environment_id))

    status = await wait_until_ended(service, environment_id)

    assert status.phase is Phase.READY  # no user had to run a command
    assert answers.attempts[-1] - answers.attempts[0] > HOUR * 10 * 5 / 60
    assert max(count_by_hour(answers.attempts[10:])) <= 12


@pytest.mark.virtual_time
async def test_environment_stops_if_a_fault_lasts_for_hours(
    service: EnvironmentService, answers: Answers, environment_id: str
) -> None:
    answers.script(*[answers.refuse("ExpiredToken", "The security token included in the request is expired")] * 200)
    await service.create(build_provision_request(environment_id))

    status = await wait_until_ended(service, environment_id)

    assert status.phase is Phase.STOPPED
    assert status.problem is not None
    assert (status.problem.code, status.problem.key) == ("rds.ExpiredToken", None)
    assert status.problem.message == "The security token included in the request is expired"
    assert status.problem.remediation.explanation.startswith("byok held for 6 h ")
    assert "byok retries by itself" not in text_of(status.problem.remediation)
    assert status.holding is None
    assert MAX_HOLD - HOUR < answers.attempts[-1] - answers.attempts[0] < MAX_HOLD + HOUR


@pytest.mark.virtual_time
async def test_hold_does_not_lengthen_the_wait_for_a_resource(
    service: EnvironmentService, answers: Answers, environment_id: str
) -> None:
    throttled = [answers.refuse("Throttling", "Rate exceeded")] * 15
    minute = timedelta(minutes=1)
    answers.script(*[answers.wait_for(minute)] * 10, *throttled, *[answers.wait_for(minute)] * 90)
    await service.create(build_provision_request(environment_id))

    status = await wait_until_ended(service, environment_id)

    assert status.problem is not None
    assert status.problem.code == "rds.NotReady"
    assert status.problem.held_since is None
    # The waits add up to 15 minutes, as they do without a hold. The hold lasted for more than 25 minutes.
    waits = len(answers.attempts) - len(throttled)
    assert 13 <= waits <= 16
    assert answers.attempts[-1] - answers.attempts[0] > timedelta(minutes=40)


async def test_status_says_since_when_and_why_it_holds(
    service: EnvironmentService, answers: Answers, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "UNCLAIMED_AFTER", timedelta(minutes=5))
    released, denied = threading.Event(), "The security token included in the request is invalid."
    answers.script(*[answers.refuse("InvalidClientTokenId", denied)] * 2, answers.succeed_after(released))
    await service.create(build_provision_request(environment_id))

    status = await wait_until(service, environment_id, lambda one: one.holding is not None)

    assert status.holding is not None
    assert status.holding.since == answers.attempts[0]
    problem = status.holding.problem
    assert (problem.code, problem.message, problem.key) == ("rds.InvalidClientTokenId", denied, None)
    dumped = status.model_dump(mode="json")["holding"]
    assert (dumped["problem"]["code"], dumped["since"][:4]) == (problem.code, str(status.holding.since.year))
    (step,) = status.pending
    words = describe_pending_step(step)
    assert words.startswith(f"creating the cluster: holding since {status.holding.since:%Y-%m-%d %H:%M:%S} UTC: ")
    assert "byok retries by itself" in words
    assert StatusView.from_status(status).waiting == ()  # the page shows the hold in a banner
    released.set()
    ended = await wait_until_ended(service, environment_id)
    assert (ended.phase, ended.holding) == (Phase.READY, None)
