"""Translates the Temporal client's errors into the errors of `byok.service.errors`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from temporalio.service import RPCError, RPCStatusCode

from byok.service.errors import TemporalRefusedError, TemporalUnreachableError
from byok.temporal_read_retry import TRANSIENT_STATUS_CODES
from byok.temporal_records import UnreadableRecordError

_REASON: Final = re.compile(r'(?:message|error): "([^"]*)"')
_DOWN: Final = TRANSIENT_STATUS_CODES | {RPCStatusCode.DEADLINE_EXCEEDED}


@contextmanager
def translate_temporal_errors() -> Iterator[None]:
    """Translate the Temporal client's `RPCError` into a `ServiceError`.

    Raises:
        TemporalUnreachableError: The server cannot be reached, is too busy, or keeps returning a transient error.
        TemporalRefusedError: The server rejects the request, or a newer version of byok has written the record.
    """
    try:
        yield
    except RPCError as error:
        if error.status is RPCStatusCode.RESOURCE_EXHAUSTED:
            raise TemporalUnreachableError(
                f"The Temporal server is busy: {error.message}. Try again in a moment."
            ) from error
        if error.status in _DOWN:
            raise TemporalUnreachableError(f"Cannot reach the Temporal server: {error.message}") from error
        raise TemporalRefusedError(f"Temporal rejected the request: {error.message}") from error
    except UnreadableRecordError as error:
        raise TemporalRefusedError(str(error)) from error


def extract_reason(error: RuntimeError) -> str:
    """Return the reason that the SDK puts at the end of a long error message."""
    found = _REASON.findall(str(error))
    return str(found[-1]) if found else str(error)
