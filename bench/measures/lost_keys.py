"""Measures the time from disabling a key until the status shows the lost key, with sweeps and with AWS events."""

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from bench.machine import BenchStack
from bench.request_generator import REGION
from bench.seeding import OriginalEnvironment
from byok.domain.arns import parse_key_arn
from byok.domain.models import HealthState
from byok.local.ports import HOST
from byok.service.environments import EnvironmentService
from byok.temporal_health import ensure_health_schedules, read_sweep

LOST_KEY_INTERVAL: Final = 10.0
"""The interval of the sweeps that find a disabled key, in seconds."""

_ENVIRONMENTS: Final = 20
_SECRET: Final = "a-value-that-only-this-benchmark-uses"
_START_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.05


async def measure_polling(one: BenchStack, original: OriginalEnvironment, rounds: int) -> list[float]:
    """Disable one key after another, at different times between two sweeps."""
    service, found = await one.connect_service(), []
    plans = await original.copy_resources(one, max(rounds, _ENVIRONMENTS))
    await original.start_records(one, plans)
    interval = timedelta(seconds=LOST_KEY_INTERVAL)
    await ensure_health_schedules(service.client, service.task_queue, [REGION], interval)
    while await read_sweep(service.client, REGION) is None:
        await asyncio.sleep(0.5)
    for number in range(rounds):
        environment = plans[number].environment
        await asyncio.sleep(LOST_KEY_INTERVAL * number / rounds)
        one.call_stand_in("POST", "disable", key=environment.s3_key_arn)
        began = time.perf_counter()
        await _wait_until_lost(service, environment.environment_id)
        found.append(time.perf_counter() - began)
    return found


async def measure_events(one: BenchStack, original: OriginalEnvironment, rounds: int) -> list[float]:
    """Disable one key after another, and send the event that EventBridge would send. No sweep runs."""
    service, found = await one.connect_service(), []
    plans = await original.copy_resources(one, max(rounds, _ENVIRONMENTS))
    await original.start_records(one, plans)
    url = await _start_web(one)
    async with httpx.AsyncClient(headers={"X-Byok-Event-Secret": _SECRET}, timeout=30) as eventbridge:
        for plan in plans[:rounds]:
            key_arn = plan.environment.s3_key_arn
            one.call_stand_in("POST", "disable", key=key_arn)
            began = time.perf_counter()
            answer = await eventbridge.post(f"{url}/v1/events/aws", json=_build_event(key_arn))
            answer.raise_for_status()
            if plan.environment.environment_id not in answer.json()["environments"]:
                raise RuntimeError("the event started no check of the environment")
            await _wait_until_lost(service, plan.environment.environment_id)
            found.append(time.perf_counter() - began)
    await one.stop("web")
    return found


async def _start_web(one: BenchStack) -> str:
    """Start the API, and return its URL."""
    url = f"http://{HOST}:{one.ports.web}"
    one.environment["BYOK_API__AWS_EVENTS_SECRET"] = _SECRET
    web = await one.start_program("web", "-m", "byok", "web", "--host", HOST, "--port", str(one.ports.web))

    async def answers() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{url}/ready")).is_success
        except httpx.TransportError:
            return False

    await web.wait_until_ready(answers, _START_SECONDS)
    return url


async def _wait_until_lost(service: EnvironmentService, environment_id: str) -> None:
    while True:
        health = (await service.read_status(environment_id)).health
        if health is not None and health.state is HealthState.KEY_LOST:
            return
        await asyncio.sleep(_POLL_SECONDS)


def _build_event(key_arn: str) -> dict[str, Any]:
    """Build the event that CloudTrail sends when a key is disabled."""
    arn = parse_key_arn(key_arn)
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.kms",
        "account": arn.account,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": arn.region,
        "resources": [],
        "detail": {"eventName": "DisableKey", "requestParameters": {"keyId": key_arn}},
    }
