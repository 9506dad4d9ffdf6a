"""Finds out when a workflow's environment was first requested."""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from byok.contracts import EARLIER_ATTEMPTS_MEMO
    from byok.domain.models import EarlierAttempts
    from byok.domain.models.records import find_creation


def find_creation_time() -> datetime:
    """Return when the environment was first requested, possibly by an earlier run."""
    try:
        earlier: EarlierAttempts | None = workflow.memo_value(EARLIER_ATTEMPTS_MEMO, None, type_hint=EarlierAttempts)
    except ApplicationError:  # another program has written this memo field
        earlier = None
    return find_creation(earlier.attempts if earlier else (), workflow.info().workflow_start_time)
