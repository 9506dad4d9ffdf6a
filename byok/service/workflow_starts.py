"""Builds two options for starting a workflow: the memo field for its requester, and its priority."""

from typing import Any

from temporalio.common import Priority

from byok.contracts import REQUESTER_MEMO
from byok.domain.models import Requester


def build_requester_memo(requester: Requester | None) -> dict[str, Any]:
    """Return the memo field that contains a workflow's requester (contract 147); empty if there is no requester."""
    return {} if requester is None else {REQUESTER_MEMO: requester}


def measure_requester(requester: Requester | None) -> int:
    """Return the size of the requester's memo field in bytes."""
    return 0 if requester is None else len(requester.model_dump_json().encode())


def build_priority(organisation: str | None) -> Priority:
    """Return the priority with which Temporal distributes the tasks of a workflow and of its activities.

    The fairness key is the organisation, so a backlog of one organisation does not delay other organisations. Temporal
    ignores the fairness key unless the server's dynamic configuration sets `matching.enableFairness` (Temporal, "Task
    Queue Priority and Fairness").
    """
    return Priority(fairness_key=organisation)
