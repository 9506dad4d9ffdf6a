"""Replay every environment that stopped with the same problem, on a real Temporal server with scripted activities."""

import asyncio
from collections.abc import Sequence

import pytest

from byok.domain.phases import Phase
from byok.service.bulk_replay import BulkReplayOutcome, find_stopped_environments, replay_all
from byok.service.environments import EnvironmentService
from byok.service.errors import InvalidRequestError
from tests.workflows.fake_activities import S3_KEY, build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended


async def stop_environments(
    service: EnvironmentService, harness: WorkflowHarness, code: str, names: Sequence[str]
) -> None:
    """Create environments that stop with `s3.<code>`, and wait until Temporal lists them."""
    failure = build_aws_failure("s3", code, f"{S3_KEY}: {code}", Phase.VALIDATING_KEYS)
    for name in names:
        harness.activities.script["probe_s3_key"] = [failure]
        await service.create(build_provision_request(name))
        assert (await wait_until_ended(service, name)).phase is Phase.STOPPED
    async with asyncio.timeout(20):
        while not set(names) <= set(await find_stopped_environments(service, f"s3.{code}")):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def collect(
    service: EnvironmentService, code: str, names: Sequence[str], *, dry_run: bool = False
) -> list[BulkReplayOutcome]:
    """Run a bulk replay, and return the outcomes of this test's environments, in order.

    The bulk replay includes the environments of other tests, because all tests share the Temporal server.
    """
    outcomes = [one async for one in replay_all(service, code, dry_run=dry_run)]
    return sorted((one for one in outcomes if one.environment_id in names), key=lambda one: one.environment_id)


async def test_all_environments_with_the_code_are_replayed_and_no_other(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    names = [f"{environment_id}-{number}" for number in range(12)]
    other = f"{environment_id}-other"
    await stop_environments(service, harness, "TooManyBuckets", names)
    await stop_environments(service, harness, "KMS.DisabledException", [other])

    planned = await collect(service, "s3.TooManyBuckets", [*names, other], dry_run=True)
    untouched = {(await service.read_status(name)).phase for name in names}
    outcomes = await collect(service, "s3.TooManyBuckets", [*names, other])

    assert planned == [BulkReplayOutcome(name) for name in sorted(names)]
    assert untouched == {Phase.STOPPED}
    assert [(one.environment_id, one.refusal) for one in outcomes] == [(name, None) for name in sorted(names)]
    assert {one.result.step for one in outcomes if one.result} == {"probe_s3_key"}
    ended = await asyncio.gather(*(wait_until_ended(service, name) for name in names))
    assert {status.phase for status in ended} == {Phase.READY}
    assert (await service.read_status(other)).phase is Phase.STOPPED
    # Visibility still lists the earlier runs, but byok does not replay these runs again.
    assert await collect(service, "s3.TooManyBuckets", names) == []


async def test_refused_replay_is_reported(
    service: EnvironmentService, environment_id: str, harness: WorkflowHarness
) -> None:
    alias = S3_KEY.replace("key/11111111-1111-4111-8111-111111111111", "alias/acme")
    await service.create(build_provision_request(environment_id, s3_key_arn=alias))
    stopped = await wait_until_ended(service, environment_id)
    assert stopped.problem is not None
    code = stopped.problem.code
    async with asyncio.timeout(20):
        while environment_id not in await find_stopped_environments(service, code):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    for dry_run in (True, False):
        (outcome,) = await collect(service, code, [environment_id], dry_run=dry_run)
        assert outcome.result is None
        assert outcome.refusal is not None
        assert f"would be rejected again with {code}" in outcome.refusal


async def test_code_is_never_part_of_the_query_syntax(service: EnvironmentService) -> None:
    with pytest.raises(InvalidRequestError, match="is not a problem code"):
        await find_stopped_environments(service, "x' OR EnvironmentPhase = 'READY")
