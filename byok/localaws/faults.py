"""Faults on request: what networks and overloaded services do to a caller, by service and operation.

`lose_answer` is the one that tells whether a step is safe to repeat: the call is carried out, and nobody hears of it.
"""

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from byok.localaws.call import AwsError, Call


class Kind(StrEnum):
    """What happens to a call."""

    THROTTLE = "throttle"
    ERROR_500 = "error500"
    TIMEOUT = "timeout"
    LOSE_ANSWER = "lose_answer"
    DELAY = "delay"


@dataclass
class Fault:
    """A fault that waits for its calls.

    Attributes:
        service: Of which service.
        operation: Which operation; `*` for every one.
        kind: What happens.
        times: To how many calls from now on.
        seconds: For `timeout` and `delay`: how long, or until all faults are forgotten.
        after_calls: How many calls pass unharmed before.
        session: Only to the calls of the role session of this name, and to the one that asks for it.
    """

    service: str
    operation: str
    kind: Kind
    times: int = 1
    seconds: float = 0.0
    after_calls: int = 0
    session: str | None = None

    def concerns(self, call: Call) -> bool:
        """Whether a call is one of those that the fault waits for, or lets pass before."""
        if self.service != call.service or self.operation not in {"*", call.operation}:
            return False
        sessions = {call.caller.arn.rpartition("/")[2], call.params.get("RoleSessionName")}
        return self.session is None or self.session in sessions


class ConnectionCut(Exception):  # noqa: N818 - what happens, and no mistake
    """The connection is to be closed without an answer."""


# How each service really says "slow down" and "it is my fault" (S3 API reference, "Error responses"; RDS API reference,
# "Common errors"; KMS developer guide, "Throttling").
_THROTTLES: Final = {
    "s3": AwsError("SlowDown", "Please reduce your request rate.", 503),
    "kms": AwsError("ThrottlingException", "You have exceeded the rate at which you may call KMS.", 400),
}
_THROTTLE: Final = AwsError("Throttling", "Rate exceeded", 400)
_ERRORS: Final = {
    "s3": AwsError("InternalError", "We encountered an internal error. Please try again.", 500),
    "kms": AwsError("KMSInternalException", "The request was rejected because an internal exception occurred.", 500),
}
_ERROR: Final = AwsError("InternalFailure", "The request processing has failed because of an unknown error.", 500)

_FAULTS: Final[list[Fault]] = []
_LOCK: Final = threading.Lock()
_FORGOTTEN: Final = [threading.Event()]
"""Set when the faults of this time are forgotten; those that come after have another one."""


def add(fault: Fault) -> None:
    """Let a fault wait for its calls."""
    with _LOCK:
        _FAULTS.append(fault)


def clear() -> None:
    """Forget all faults; a call that one of them is holding up goes on."""
    with _LOCK:
        _FAULTS.clear()
        _FORGOTTEN[0].set()
        _FORGOTTEN[0] = threading.Event()


def waiting() -> list[Fault]:
    """The faults that have not happened as often as they were to."""
    with _LOCK:
        return list(_FAULTS)


def strike(call: Call) -> bool:
    """Let the next fault for this call happen.

    Returns:
        Whether the call is to be carried out and its answer lost.

    Raises:
        AwsError: A throttle or an error of the service.
        ConnectionCut: The time is over and nothing is to be answered.
    """
    fault, forgotten = _next(call)
    if fault is None:
        return False
    if fault.kind is Kind.LOSE_ANSWER:
        return True
    if fault.kind is Kind.THROTTLE:
        raise _THROTTLES.get(call.service, _THROTTLE)
    if fault.kind is Kind.ERROR_500:
        raise _ERRORS.get(call.service, _ERROR)
    forgotten.wait(fault.seconds)
    if fault.kind is Kind.TIMEOUT:
        raise ConnectionCut
    return False


def _next(call: Call) -> tuple[Fault | None, threading.Event]:
    """The fault for this call, if there is one, and what tells that the faults are forgotten."""
    with _LOCK:
        for fault in _FAULTS:
            if not fault.concerns(call):
                continue
            if fault.after_calls > 0:
                fault.after_calls -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                _FAULTS.remove(fault)
            return fault, _FORGOTTEN[0]
        return None, _FORGOTTEN[0]
