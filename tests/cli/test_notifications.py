"""`byok notifications` lists deliveries, sends test notifications and resends notifications (contract 144)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from byok.domain.models import DeliveryReceipt
from byok.service import notifications
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import DeliveryFailedError, DeliveryNotFoundError
from byok.service.notifications import Delivery, DeliveryState
from tests.cli.conftest import Run
from tests.cli.fakes import FakeService

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def build_delivery(state: DeliveryState, **changes: Any) -> Delivery:
    values = {"id": "portal/1", "endpoint": "portal", "type": "byok.environment.stopped", "environment_id": "acme"}
    return Delivery.model_validate({**values, "at": AT, "state": state, **changes})


@pytest.fixture
def answers(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The results and errors of the next calls, in order.

    Each call removes the first item from the list, and appends the call's arguments to the list.
    """
    found: list[Any] = []

    async def answer(_: EnvironmentReader, *given: Any) -> Any:
        result = found.pop(0)
        found.append(given)
        if isinstance(result, Exception):
            raise result
        return result

    for name in ("list_deliveries", "deliver_test_notification", "resend_notification"):
        monkeypatch.setattr(notifications, name, answer)
    return found


def test_deliveries_are_listed_with_their_state_and_the_last_error(run: Run, answers: list[Any]) -> None:
    retrying = build_delivery(
        DeliveryState.RETRYING, attempt=3, error="Endpoint portal answered with status 500.", next_attempt_at=AT
    )
    answers.append([retrying, build_delivery(DeliveryState.DELIVERED, environment_id=None)])

    ended = run("notifications", "list", "--environment", "acme", "--limit", "7")

    assert (ended.code, answers) == (0, [("acme", 7)])
    assert ended.out.splitlines() == [
        "2026-11-30 12:00:00 UTC  acme  byok.environment.stopped  retrying",
        "  portal/1",
        "  Endpoint portal answered with status 500. Next attempt: 2026-11-30 12:00:00 UTC.",
        "2026-11-30 12:00:00 UTC  -  byok.environment.stopped  delivered",
        "  portal/1",
    ]


def test_deliveries_are_listed_as_json(run: Run, answers: list[Any]) -> None:
    answers.append([build_delivery(DeliveryState.FAILED, error="gone")])

    (found,) = run("notifications", "list", "-o", "json").json

    assert (found["id"], found["state"], found["error"]) == ("portal/1", "failed", "gone")


def test_empty_list_says_so(run: Run, answers: list[Any]) -> None:
    answers.append([])
    assert run("notifications", "list").err == "No notifications.\n"


def test_text_that_is_no_environment_id_is_refused(run: Run, answers: list[Any]) -> None:
    assert run("notifications", "list", "--environment", "x' OR 'x").code == 2
    assert answers == []


def test_accepted_test_is_reported(run: Run, answers: list[Any]) -> None:
    receipt = DeliveryReceipt(status=202, attempt=1, delivered_at=AT)
    answers.append(receipt)
    ended = run("notifications", "test", "portal")
    assert (ended.code, ended.err) == (0, "Endpoint portal accepted the test notification (status 202).\n")
    answers[:] = [receipt]
    assert run("notifications", "test", "portal", "-o", "json").json["status"] == 202


def test_refused_test_is_an_error(run: Run, answers: list[Any]) -> None:
    answers.append(DeliveryFailedError("Endpoint portal answered with status 500."))
    ended = run("notifications", "test", "portal", "-o", "json")
    assert (ended.code, ended.err) == (1, "error: Endpoint portal answered with status 500.\n")
    assert ended.json["error"]["code"] == "byok.DeliveryFailed"


def test_text_that_is_no_endpoint_name_is_refused(run: Run, answers: list[Any]) -> None:
    assert run("notifications", "test", "../portal").code == 2
    assert answers == []


def test_delivery_is_started_again(run: Run, answers: list[Any]) -> None:
    answers.append("portal/1")
    ended = run("notifications", "resend", "portal/1")
    assert (ended.code, answers) == (0, [("portal/1",)])
    assert ended.err == "Delivery portal/1 starts over. Follow it with: byok notifications list\n"


def test_unknown_delivery_is_an_error(run: Run, answers: list[Any]) -> None:
    answers.append(DeliveryNotFoundError("Delivery portal/2 not found."))
    assert run("notifications", "resend", "portal/2").code == 1
