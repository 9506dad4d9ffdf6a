"""What a workflow's history tells: what it was asked for, in what that differs from a request, and what went wrong."""

import contextlib
from typing import Final, TypeVar

from pydantic import ValidationError
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client, WorkflowHandle, WorkflowHistoryEventFilterType
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError, FailureError, TerminatedError

from byok.domain.models import CheckKeysRequest, Problem, TenantRole

_LAST_EVENTS: Final = 20
"""More than one workflow task can leave between a failure and the end of a history."""

Request = TypeVar("Request", bound=CheckKeysRequest)


async def read_workflow_request(
    client: Client, handle: WorkflowHandle[object, object], kind: type[Request]
) -> Request | None:
    """What a workflow was started with; None where nobody can read it, and it is about to end by itself."""
    started = await anext(handle.fetch_history_events(page_size=1))
    payloads = started.workflow_execution_started_event_attributes.input.payloads
    try:
        (request,) = await client.data_converter.decode(payloads, [kind])
    except ValueError:
        return None
    return request if isinstance(request, kind) else None


async def read_workflow_task_failure(client: Client, workflow_id: str, run_id: str) -> str | None:
    """Why the last workflow task of a run failed; None where none did.

    Only the first of several failures in a row is in a history: the others are attempts of the same task.
    """
    answer = await client.workflow_service.get_workflow_execution_history_reverse(
        GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            maximum_page_size=_LAST_EVENTS,
        )
    )
    for event in answer.history.events:
        if event.HasField("workflow_task_failed_event_attributes"):
            return _with_causes(event.workflow_task_failed_event_attributes.failure) or None
        if event.HasField("workflow_task_timed_out_event_attributes"):
            return "the worker took a workflow task and did not answer in time"
    return None


async def read_workflow_failure(
    handle: WorkflowHandle[object, object], converter: DataConverter
) -> FailureError | None:
    """What an ended workflow failed with, or by whom it was ended; None where neither is told."""
    close_event = WorkflowHistoryEventFilterType.CLOSE_EVENT
    async for event in handle.fetch_history_events(event_filter_type=close_event):
        return await _failure_in(event, converter)
    return None


def diff_requests(found: Request | None, asked: Request) -> dict[str, str]:
    """The fields in which two requests differ, each with how, in words."""
    if found is None:
        return {"": "its input cannot be read"}
    pairs = {name: (getattr(found, name), getattr(asked, name)) for name in type(asked).model_fields}
    return {
        name: f"{name} is {_describe_values(theirs)}, not {_describe_values(ours)}"
        for name, (theirs, ours) in pairs.items()
        if theirs != ours
    }


def _describe_values(value: object) -> str:
    if isinstance(value, TenantRole):
        return f"{value.role_arn} with external id {value.external_id}"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None else str(value)


def _with_causes(failure: Failure) -> str:
    """The messages of a failure and of what caused it, the first line of each."""
    words = []
    while True:
        words.append(failure.message.partition("\n")[0])
        if not failure.HasField("cause"):
            return ": ".join(word for word in words if word)
        failure = failure.cause


async def _failure_in(event: HistoryEvent, converter: DataConverter) -> FailureError | None:
    if event.HasField("workflow_execution_failed_event_attributes"):
        failure = await converter.decode_failure(event.workflow_execution_failed_event_attributes.failure)
        return failure if isinstance(failure, FailureError) else None
    if event.HasField("workflow_execution_terminated_event_attributes"):
        return TerminatedError(event.workflow_execution_terminated_event_attributes.reason)
    return None


def extract_problems(failure: BaseException | None) -> list[Problem]:
    """The problems that a failure of ours carries; none where it is nobody's of ours."""
    found: list[Problem] = []
    for detail in failure.details if isinstance(failure, ApplicationError) else ():
        with contextlib.suppress(ValidationError):
            found.append(Problem.model_validate(detail))
    return found
