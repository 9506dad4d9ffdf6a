"""What Temporal's client raises, in the words of `byok.service.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.service import RPCError, RPCStatusCode

from byok.service.errors import TemporalRefusedError, TemporalUnreachableError
from byok.temporal_read_retry import TRANSIENT_STATUS_CODES

_DOWN: Final = TRANSIENT_STATUS_CODES | {RPCStatusCode.DEADLINE_EXCEEDED}


@contextmanager
def translate_temporal_errors() -> Iterator[None]:
    """Turn what Temporal's client raises into what the door says.

    Raises:
        TemporalUnreachableError: It does not answer, or keeps answering with a transient error.
        TemporalRefusedError: It answers, and refuses.
    """
    try:
        yield
    except RPCError as error:
        if error.status in _DOWN:
            raise TemporalUnreachableError(f"Temporal cannot be reached at the moment: {error.message}") from error
        raise TemporalRefusedError(f"Temporal refuses: {error.message}") from error


def is_namespace_not_found(error: RPCError) -> bool:
    """Whether it is the namespace that is not there."""
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)


def extract_reason(error: RuntimeError) -> str:
    """The reason at the end of the SDK's long message."""
    text = str(error)
    _, found, reason = text.rpartition('message: "')
    return reason.split('"')[0] if found else text
