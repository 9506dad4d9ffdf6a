"""Error responses, request limits and health checks."""

import asyncio
from http import HTTPStatus

import pytest
from temporalio.service import RPCError, RPCStatusCode

from byok import __version__
from byok.api.problems import STATUS_BY_ERROR
from byok.api_settings import ApiSettings
from byok.service.environments import EnvironmentService
from byok.service.errors import ServiceError
from byok.service.pollers import PollingWorker
from byok.service.status import EnvironmentStatus
from tests.api.conftest import ApiClient, Serve, build_create_body


def test_every_service_error_has_an_http_status() -> None:
    def kinds(of: type[ServiceError]) -> set[type[ServiceError]]:
        return {one for kind in of.__subclasses__() for one in {kind, *kinds(kind)}}

    assert set(STATUS_BY_ERROR) == kinds(ServiceError)


async def test_invalid_fields_are_named_without_repeating_their_values(portal: ApiClient) -> None:
    answer = await portal.http.post("/v1/environments", json=build_create_body("Not Legal", secret="hunter2", region=7))
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert {fault["field"] for fault in answer.json()["errors"]} == {"environment_id", "secret", "region"}
    assert "hunter2" not in answer.text
    assert "Not Legal" not in answer.text


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"{", "application/json"), (b"\xff\xfe", "application/json"), (b"a=1", "application/x-www-form-urlencoded")],
)
async def test_body_that_is_not_json_is_refused(portal: ApiClient, content: bytes, kind: str) -> None:
    answer = await portal.http.post("/v1/environments", content=content, headers={"Content-Type": kind})
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert answer.headers["content-type"] == "application/problem+json"


async def test_oversized_body_is_refused(portal: ApiClient) -> None:
    answer = await portal.http.post("/v1/policy-checks", content=b" " * 10_000_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "byok.TooLarge")


async def test_rate_limited_requests_are_refused_with_retry_after(serve: Serve) -> None:
    portal: ApiClient = await serve(settings=ApiSettings(requests_per_minute=3))
    answers = [await portal.http.get("/health") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert answers[-1].headers["ratelimit"] == f'"requests";r=0;t={answers[-1].headers["retry-after"]}'
    assert answers[-1].json()["code"] == "byok.TooManyRequests"


@pytest.mark.parametrize("path", ["/nope", "/v1/../etc/passwd", "/v1/environments/..%2f..%2fetc", "/docs", "/redoc"])
async def test_unknown_path_returns_a_problem_document(portal: ApiClient, path: str) -> None:
    answer = await portal.http.get(path)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_only_readiness_depends_on_temporal(serve: Serve, service: EnvironmentService) -> None:
    class Down(EnvironmentService):
        @property
        def down(self) -> RPCError:
            return RPCError("connection refused", RPCStatusCode.UNAVAILABLE, b"")

        async def list_workers(self) -> list[PollingWorker]:
            from byok.service.temporal_errors import translate_temporal_errors

            with translate_temporal_errors():
                raise self.down

    down: ApiClient = await serve(door=Down(service.client))
    health = (await down.http.get("/health")).json()
    assert (health["status"], health["version"]) == ("ok", __version__)
    answer = await down.http.get("/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "byok.TemporalUnreachable")
    assert answer.headers["retry-after"]


async def test_readiness_counts_workers_but_needs_none(serve: Serve, service: EnvironmentService) -> None:
    alone: ApiClient = await serve(door=EnvironmentService(service.client, "an-unpolled-queue"))
    answer = await alone.http.get("/ready")
    assert (answer.status_code, answer.json()["workers"]) == (HTTPStatus.OK, 0)
    up: ApiClient = await serve()
    async with asyncio.timeout(20):
        while (await up.http.get("/ready")).json()["workers"] != 1:  # Temporal does not list the worker yet
            pass


async def test_internal_error_reveals_nothing(serve: Serve, service: EnvironmentService) -> None:
    class Broken(EnvironmentService):
        async def read_status(self, environment_id: str) -> EnvironmentStatus:
            raise KeyError("an inner secret")

    portal: ApiClient = await serve(door=Broken(service.client))
    answer = await portal.http.get("/v1/environments/acme")
    assert (answer.status_code, answer.json()["code"]) == (500, "byok.Mistake")
    assert "secret" not in answer.text
