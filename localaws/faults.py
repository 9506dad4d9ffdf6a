"""Faults on request: what networks and overloaded services do to a caller, by service and operation.

`lose_answer` is the one that tells whether a step is safe to repeat: the call is carried out, and nobody hears of it. A
call that is held stays under way until it is let go, so that a test can end the caller at that moment for certain.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from localaws.call import AwsError, Call


class FaultKind(StrEnum):
    """What happens to a call."""

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
    """A fault that waits for its calls.

    Attributes:
        service: Of which service.
        operation: Which operation; `*` for every one.
        kind: What happens.
        times: To how many calls from now on.
        seconds: For `timeout` and `delay`: how long, or until all faults are forgotten.
        after_calls: How many calls pass unharmed before.
        session: Only to the calls of the role session of this name, and to the one that asks for it.
        about: Only to calls about something whose name has this text in it: a bucket, a cluster, a key.
        code: For `refuse`: the wire code of the refusal.
        message: And AWS's words.
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
        """Whether a call is one of those that the fault waits for, or lets pass before."""
        if self.service != call.service or self.operation not in {"*", call.operation}:
            return False
        sessions = {call.caller.arn.rpartition("/")[2], call.params.get("RoleSessionName")}
        if self.session is not None and self.session not in sessions:
            return False
        return not self.about or any(self.about in str(call.params.get(name, "")) for name in RESOURCE_PARAM_NAMES)


@dataclass
class HeldCall:
    """A call that is under way and does not go on.

    Attributes:
        number: Counts the held ones since the start.
        fault: What holds it.
        carried_out: Whether AWS has done it, and the answer alone is missing.
    """

    number: int
    fault: Fault
    operation: str
    carried_out: bool


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
"""Those parameters of a call that say what it is about."""

MAX_HOLD_SECONDS: Final = 120.0
"""Seconds after which a held call goes on, should nobody let it go."""

_FAULTS: Final[list[Fault]] = []
_HELD: Final[dict[int, HeldCall]] = {}
_COUNT: Final = [0]
_LOCK: Final = threading.Condition()
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
    release_held_calls()


def list_pending_faults() -> list[Fault]:
    """The faults that have not happened as often as they were to."""
    with _LOCK:
        return list(_FAULTS)


def list_held_calls() -> list[HeldCall]:
    """The calls that are held."""
    with _LOCK:
        return list(_HELD.values())


def release_held_calls() -> None:
    """Let all held calls go: one that was not carried out never is, and every answer is sent."""
    with _LOCK:
        _HELD.clear()
        _LOCK.notify_all()


def inject_before(call: Call) -> Fault | None:
    """Let the next fault for this call happen, up to the moment before it is carried out.

    Returns:
        The fault whose second half comes after that, for `inject_after`; None where there is none.

    Raises:
        AwsError: A throttle or an error of the service.
        ConnectionCut: The time is over and nothing is to be answered.
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
    """The same around a call that is carried out: what is about its answer waits for one that AWS does not refuse.

    Raises:
        AwsError: As `inject_before`, or the call's own refusal.
        ConnectionCut: As `inject_before`.
    """
    fault = inject_before(call)
    try:
        yield fault
    except AwsError:
        if fault is not None:
            add(replace(fault, times=1))
        raise


def inject_after(fault: Fault | None, call: Call) -> bool:
    """Let the second half of a fault happen, after the call was carried out.

    Returns:
        Whether the answer is lost.
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
    """The fault for this call, if there is one, and what tells that the faults are forgotten."""
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
