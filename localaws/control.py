"""The control endpoint under `/_localaws/`, which real AWS does not have: faults, durations, recorded calls, and reset.

- `GET /_localaws/health` reports whether the server is up, and whether it restored its state.
- `GET /_localaws/calls` returns the recorded calls. DELETE clears the recorded calls.
- `GET /_localaws/faults` returns the pending faults. POST adds a fault. DELETE clears all faults and ends delays.
- `GET /_localaws/held` returns the held calls. DELETE releases the held calls.
- `POST /_localaws/settings` sets durations, such as `{"database_seconds": 0.2, "propagation_seconds": 5}`.
- `POST /_localaws/elapse` shortens waiting periods, such as `{"days": 7}`, and returns the keys that KMS deletes.
- `POST /_localaws/reset` resets everything to its initial state.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from localaws import faults, recorder
from localaws.call import HttpResponse
from localaws.protocol import SERVICES
from localaws.state import STATE
from localaws.waiting_periods import elapse

CONTROL_PATH_PREFIX: Final = "/_localaws/"


class _FaultInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    service: Literal["s3", "kms", "rds", "sts", "iam", "cloudformation"]
    operation: str = Field(min_length=1)
    kind: faults.FaultKind
    times: int = Field(default=1, ge=1, le=1_000_000)
    seconds: float = Field(default=0, ge=0, le=600)
    after_calls: int = Field(default=0, ge=0)
    session: str | None = None
    about: str = ""
    code: str = "AccessDenied"
    message: str = "Access Denied"


class _SettingsInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    database_seconds: float | None = Field(default=None, ge=0, le=3600)
    propagation_seconds: float | None = Field(default=None, ge=0, le=3600)


class _ElapseInput(BaseModel):
    model_config = ConfigDict(extra="forbid")

    days: int = Field(ge=1, le=365)


class ControlEndpoint:
    """Handles control requests.

    Attributes:
        health: Additional members of the response to `GET health`.
    """

    def __init__(self, reset: Callable[[], None], health: dict[str, Any]) -> None:
        self.health = health
        self._reset = reset

    def handle_request(self, method: str, path: str, body: bytes) -> HttpResponse:
        """Execute a control request. A malformed request gets a 400 response, which lists the invalid fields."""
        name = path.removeprefix(CONTROL_PATH_PREFIX)
        action = getattr(self, f"_{method.lower()}_{name}", None)
        if action is None:
            return _json(404, {"error": f"there is no {method} {path}; see the module localaws.control"})
        try:
            return _json(200, action(json.loads(body or b"{}")))
        except ValidationError as error:
            fields = {".".join(map(str, fault["loc"])) or "body": fault["msg"] for fault in error.errors()}
            return _json(400, {"error": "invalid request", "fields": fields})
        except ValueError as error:
            return _json(400, {"error": f"the body is not JSON: {error}"})

    def _get_health(self, _: object) -> dict[str, Any]:
        return {"status": "ok", "services": list(SERVICES), **self.health}

    def _get_calls(self, _: object) -> dict[str, Any]:
        return recorder.calls_as_json()

    def _delete_calls(self, _: object) -> dict[str, Any]:
        recorder.clear_calls()
        return {}

    def _get_faults(self, _: object) -> dict[str, Any]:
        return {"faults": [asdict(fault) for fault in faults.list_pending_faults()]}

    def _post_faults(self, given: object) -> dict[str, Any]:
        fault = _FaultInput.model_validate(given)
        faults.add(faults.Fault(**fault.model_dump()))
        return fault.model_dump(mode="json")

    def _delete_faults(self, _: object) -> dict[str, Any]:
        faults.clear()
        return {}

    def _get_held(self, _: object) -> dict[str, Any]:
        return {"held": [asdict(one) for one in faults.list_held_calls()]}

    def _delete_held(self, _: object) -> dict[str, Any]:
        faults.release_held_calls()
        return {}

    def _post_settings(self, given: object) -> dict[str, Any]:
        settings = _SettingsInput.model_validate(given)
        if settings.database_seconds is not None:
            STATE.database_seconds = settings.database_seconds
        if settings.propagation_seconds is not None:
            STATE.propagation_seconds = settings.propagation_seconds
        return {"database_seconds": STATE.database_seconds, "propagation_seconds": STATE.propagation_seconds}

    def _post_elapse(self, given: object) -> dict[str, Any]:
        period = timedelta(days=_ElapseInput.model_validate(given).days)
        return {"deleted_keys": elapse(period)}

    def _post_reset(self, _: object) -> dict[str, Any]:
        self._reset()
        return {}


def _json(status: int, content: dict[str, Any]) -> HttpResponse:
    return HttpResponse(status, [("Content-Type", "application/json")], json.dumps(content, default=str).encode())
