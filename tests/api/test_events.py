"""The events that a subscriber receives, including after a reconnection, and the cost of many subscribers."""

import asyncio
from collections import Counter

from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.service.status import EnvironmentStatus
from tests.api.conftest import ApiClient, Serve, build_create_body
from tests.workflows.fake_activities import S3_KEY, build_aws_failure
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended

DISABLED = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.CREATING_STORAGE)


async def test_stream_reports_each_phase_once_and_ends_with_the_status(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))

    heard = await portal.read_events(environment_id)

    status = await wait_until_ended(service, environment_id)
    phases = [event.data["phase"] for event in heard if event.kind == "phase"]
    assert phases == [entry.phase for entry in status.timeline]
    assert heard[-1].kind == "status"
    assert heard[-1].data == status.model_dump(mode="json")
    ids = [event.id for event in heard]
    assert len(set(ids)) == len(ids)


async def test_reconnecting_subscriber_gets_missed_events_and_no_duplicates(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)
    heard = await portal.read_events(environment_id)

    for number, event in enumerate(heard[:-1]):
        assert await portal.read_events(environment_id, event.id) == heard[number + 1 :]


async def test_subscriber_that_has_every_event_gets_no_content(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)
    last = (await portal.read_events(environment_id))[-1].id

    answer = await portal.http.get(f"/v1/environments/{environment_id}/events", headers={"Last-Event-ID": str(last)})

    assert (answer.status_code, answer.content) == (204, b"")


async def test_stream_continues_with_the_new_run_after_a_replay(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [DISABLED]
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    stopped = await portal.read_events(environment_id)
    await portal.http.post(f"/v1/environments/{environment_id}/replays", json={})

    heard = await portal.read_events(environment_id, stopped[-1].id)

    assert stopped[-1].data["problem"]["code"] == "s3.KMS.DisabledException"
    assert heard[-1].data["phase"] == "READY"


async def test_unknown_last_event_ids_restart_the_stream(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)
    heard = await portal.read_events(environment_id)
    for strange in ("x", "::", f"{'9' * 100}:99:", "a:-1:b", "<script>"):
        assert await portal.read_events(environment_id, strange) == heard


class StatusCountingService(EnvironmentService):
    """An `EnvironmentService` that counts how often the status of each environment is read."""

    looks: Counter[str]

    async def read_status(self, environment_id: str) -> EnvironmentStatus:
        self.looks[environment_id] += 1
        return await super().read_status(environment_id)


async def test_two_hundred_subscribers_share_one_poll(
    serve: Serve, harness: WorkflowHarness, environment_id: str
) -> None:
    def door() -> StatusCountingService:
        found = StatusCountingService(harness.client, harness.task_queue)
        found.looks = Counter()
        return found

    looks = []
    for listeners in (1, 200):
        name, counting = f"{environment_id}-{listeners}", door()
        portal: ApiClient = await serve(door=counting)
        await portal.http.post("/v1/environments", json=build_create_body(name))
        before = counting.looks[name]
        heard = await asyncio.gather(*(portal.read_events(name) for _ in range(listeners)))
        assert all(events[-1].data["phase"] == "READY" for events in heard)
        # Each subscriber's first read checks whether the environment exists. All subscribers share the later reads.
        looks.append(counting.looks[name] - before - listeners)
    assert looks[1] <= looks[0] + 3, f"{looks}: status reads grow with the number of subscribers"
