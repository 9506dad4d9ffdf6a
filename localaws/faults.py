"""Faults that a test injects into calls to an operation, such as timeouts, throttling errors and lost responses.

With `lose_answer`, a call is executed, but the caller gets no response. This fault shows whether an activity is safe to
retry. A held call stays in progress until the test releases the call, so that the test can kill the caller in the
meantime.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from localaws.call import AwsError, Call


class FaultKind(StrEnum):
    """The kinds of faults that can affect a call."""

    THROTTLE = "throttle"
    ERROR_500 = "error500"
    TIMEOUT = "timeout"
    LOSE_ANSWER = "lose_answer"
    DELAY = "delay"
    REFUSE = "refuse"
    HOLD_CALL = "hold_call"
    HOLD_ANSWER = "hold_answer"


@dataclass
class Fault:
    """A fault that will affect matching calls.

    Attributes:
        service: The service.
        operation: The operation, or `*` for all operations.
        kind: The kind of fault.
        times: The number of calls that the fault affects.
        seconds: For `timeout` and `delay`: the duration, which ends early when all faults are cleared.
        after_calls: The number of matching calls that proceed normally before the fault first affects a call.
        session: If set, a call matches only if this role session makes it, or if it is the AssumeRole call for this
            session.
        about: If set, a call matches only if the name of its resource (bucket, cluster, key) contains this text.
        code: For `refuse`: the wire code of the error.
        message: For `refuse`: the message of the error.
    """

    service: str
    operation: str
    kind: FaultKind
    times: int = 1
    seconds: float = 0.0
    after_calls: int = 0
    session: str | None = None
    about: str = ""
    code: str = "AccessDenied"
    message: str = "Access Denied"

    def matches(self, call: Call) -> bool:
        """Return whether a call matches this fault. The first `after_calls` calls match, too, but proceed normally."""
        if self.service != call.service or self.operation not in {"*", call.operation}:
            return False
        sessions = {call.caller.arn.rpartition("/")[2], call.params.get("RoleSessionName")}
        if self.session is not None and self.session not in sessions:
            return False
        return not self.about or any(self.about in str(call.params.get(name, "")) for name in RESOURCE_PARAM_NAMES)


@dataclass
class HeldCall:
    """A call that a fault is holding.

    Attributes:
        number: The call's number among all calls held since the start of the process.
        fault: The fault that holds the call.
        carried_out: True if the call has been executed and only its response is held back.
    """

    number: int
    fault: Fault
    operation: str
    carried_out: bool


class ConnectionCut(Exception):  # noqa: N818 - an event, not an error
    """Raised if the connection must be closed without a response."""


# Throttling errors (`_THROTTLES`, `_THROTTLE`) and internal errors (`_ERRORS`, `_ERROR`), by service (S3 API reference,
# "Error responses"; RDS API reference, "Common errors"; KMS developer guide, "Throttling").
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

RESOURCE_PARAM_NAMES: Final = (
    "Bucket",
    "Key",
    "DBClusterIdentifier",
    "DBInstanceIdentifier",
    "KmsKeyId",
    "SSEKMSKeyId",
    "KeyId",
    "AliasName",
    "TargetKeyId",
    "RoleArn",
    "RoleName",
    "StackName",
)
"""The parameters that identify the resource of a call."""

MAX_HOLD_SECONDS: Final = 120.0
"""A held call is released after this many seconds, unless a test releases the call earlier."""

_FAULTS: Final[list[Fault]] = []
_HELD: Final[dict[int, HeldCall]] = {}
_COUNT: Final = [0]
_LOCK: Final = threading.Condition()
_FORGOTTEN: Final = [threading.Event()]
"""An event that is set when all faults are cleared, and then replaced with a new event."""


def add(fault: Fault) -> None:
    """Add a fault, which affects matching calls from now on."""
    with _LOCK:
        _FAULTS.append(fault)


def clear() -> None:
    """Clear all faults. Delayed calls continue immediately, and held calls are released."""
    with _LOCK:
        _FAULTS.clear()
        _FORGOTTEN[0].set()
        _FORGOTTEN[0] = threading.Event()
    release_held_calls()


def list_pending_faults() -> list[Fault]:
    """Return the faults that have not yet affected the requested number of calls."""
    with _LOCK:
        return list(_FAULTS)


def list_held_calls() -> list[HeldCall]:
    """Return the held calls."""
    with _LOCK:
        return list(_HELD.values())


def release_held_calls() -> None:
    """Release all held calls.

    A call held before its execution is never executed, and its caller gets no response. A call held after its execution
    gets its response.
    """
    with _LOCK:
        _HELD.clear()
        _LOCK.notify_all()


def inject_before(call: Call) -> Fault | None:
    """Apply the next fault that matches this call, before the call is executed.

    Returns:
        A fault that `inject_after` must apply after the execution, or None.

    Raises:
        AwsError: The service's throttling error, its internal error, or the error that a `refuse` fault specifies.
        ConnectionCut: The timeout has passed, or the held call was released. The call must get no response.
    """
    fault, forgotten = _next(call)
    if fault is None:
        return None
    if fault.kind in {FaultKind.LOSE_ANSWER, FaultKind.HOLD_ANSWER}:
        return fault
    if fault.kind is FaultKind.HOLD_CALL:
        _hold(fault, call, carried_out=False)
        raise ConnectionCut
    if fault.kind is FaultKind.THROTTLE:
        raise _THROTTLES.get(call.service, _THROTTLE)
    if fault.kind is FaultKind.ERROR_500:
        raise _ERRORS.get(call.service, _ERROR)
    if fault.kind is FaultKind.REFUSE:
        raise AwsError(fault.code, fault.message, 403)
    forgotten.wait(fault.seconds)
    if fault.kind is FaultKind.TIMEOUT:
        raise ConnectionCut
    return None


@contextmanager
def inject_around(call: Call) -> Iterator[Fault | None]:
    """Apply the next fault that matches this call, and yield the fault that `inject_after` must apply, if any.

    If the call is rejected, a fault that affects responses stays pending.

    Raises:
        AwsError: An error from `inject_before` or from the call itself.
        ConnectionCut: Raised by `inject_before`.
    """
    fault = inject_before(call)
    try:
        yield fault
    except AwsError:
        if fault is not None:
            add(replace(fault, times=1))
        raise


def inject_after(fault: Fault | None, call: Call) -> bool:
    """Apply a fault that affects the response, after the call's execution.

    Returns:
        Whether the response is lost.
    """
    if fault is None:
        return False
    if fault.kind is FaultKind.HOLD_ANSWER:
        _hold(fault, call, carried_out=True)
    return fault.kind is FaultKind.LOSE_ANSWER


def _hold(fault: Fault, call: Call, *, carried_out: bool) -> None:
    with _LOCK:
        _COUNT[0] += 1
        number = _COUNT[0]
        _HELD[number] = HeldCall(number, fault, call.operation, carried_out)
        _LOCK.wait_for(lambda: number not in _HELD, MAX_HOLD_SECONDS)
        _HELD.pop(number, None)


def _next(call: Call) -> tuple[Fault | None, threading.Event]:
    """Return the next fault for this call, if any, and the event that is set when all faults are cleared."""
    with _LOCK:
        for fault in _FAULTS:
            if not fault.matches(call):
                continue
            if fault.after_calls > 0:
                fault.after_calls -= 1
                continue
            fault.times -= 1
            if fault.times <= 0:
                _FAULTS.remove(fault)
            return fault, _FORGOTTEN[0]
        return None, _FORGOTTEN[0]
