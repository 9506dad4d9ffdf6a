"""Records incoming calls, so that a test can check which calls were made and how often."""

import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Final

from localaws.call import Call
from localaws.faults import RESOURCE_PARAM_NAMES

MAX_RECORDED_CALLS: Final = 20_000
"""The maximum number of recorded calls.

Older calls are dropped, and `calls_as_json` returns the number of dropped calls.
"""


@dataclass(frozen=True)
class RecordedCall:
    """One call.

    Attributes:
        number: The call's sequence number, counted from the start or from the last time that the records were cleared.
        at: When the call ended, in seconds since the epoch.
        caller: ARN of the principal that signed the call. For a role session, this is the session's ARN.
        account: The caller's account.
        outcome: `ok`, the error code, or the effect of a fault.
    """

    number: int
    at: float
    service: str
    operation: str
    caller: str
    account: str
    region: str
    outcome: str
    params: dict[str, Any]


_RECORDED_PARAMS: Final = (*RESOURCE_PARAM_NAMES, "BucketKeyEnabled", "ExpectedBucketOwner")
_CALLS: Final[deque[RecordedCall]] = deque(maxlen=MAX_RECORDED_CALLS)
_LOCK: Final = threading.Lock()
_COUNT = [0]


def record_call(call: Call, outcome: str) -> None:
    """Record a call with its outcome and the parameters that `_RECORDED_PARAMS` lists."""
    params = {name: call.params[name] for name in _RECORDED_PARAMS if isinstance(call.params.get(name), str)}
    with _LOCK:
        _COUNT[0] += 1
        _CALLS.append(
            RecordedCall(
                number=_COUNT[0],
                at=time.time(),
                service=call.service,
                operation=call.operation,
                caller=call.caller.arn,
                account=call.caller.account,
                region=call.region,
                outcome=outcome,
                params=params,
            )
        )


def calls_as_json() -> dict[str, Any]:
    """Return every recorded call, and the number of dropped calls."""
    with _LOCK:
        return {"calls": [asdict(call) for call in _CALLS], "dropped": max(0, _COUNT[0] - len(_CALLS))}


def clear_calls() -> None:
    """Clear all recorded calls."""
    with _LOCK:
        _CALLS.clear()
        _COUNT[0] = 0
