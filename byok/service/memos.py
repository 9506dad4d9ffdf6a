"""Reads a field of a workflow's memo."""

from typing import TypeVar

from pydantic import ValidationError
from temporalio.client import WorkflowExecution
from temporalio.exceptions import ApplicationError

from byok.domain.models import RecordModel

_Memo = TypeVar("_Memo", bound=RecordModel)


async def read_memo(execution: WorkflowExecution, name: str, kind: type[_Memo]) -> _Memo | None:
    """Return a memo field; None if the field is missing, or if another program wrote a field with this name."""
    try:
        found: _Memo | None = await execution.memo_value(name, None, type_hint=kind)
    except (ApplicationError, ValidationError):  # another program wrote a memo field with this name
        return None
    return found
