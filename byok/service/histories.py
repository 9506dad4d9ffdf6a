"""Reads a workflow's input and failure from the workflow's history, and compares inputs with requests."""

import contextlib
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client, WorkflowHandle, WorkflowHistoryEventFilterType
from temporalio.converter import DataConverter, WorkflowSerializationContext
from temporalio.exceptions import ApplicationError, FailureError, TerminatedError

from byok.contracts import REQUEST_MODELS
from byok.domain.arns import KeyPurpose
from byok.domain.models import Problem
from byok.temporal_inputs import require_valid_input

_LAST_EVENTS: Final = 20
"""The number of events to read from the end of a history.

The workflow tasks that follow a task failure add fewer events, so the failure is always among the events that are read.
"""

Request = TypeVar("Request", bound=BaseModel)


async def read_workflow_request(
    client: Client, handle: WorkflowHandle[object, object], kind: type[Request]
) -> Request | None:
    """Return a workflow's input; None if the input is invalid, in which case the workflow fails once it runs."""
    values = await _read_inputs(client, handle, kind)
    return values[0] if len(values) == 1 and isinstance(values[0], kind) else None


async def read_workflow_input_error(
    client: Client, handle: WorkflowHandle[object, object], workflow_type: str
) -> str | None:
    """Return why a workflow's input is invalid; None if the input is valid, or if the workflow type is unknown."""
    kind = REQUEST_MODELS.get(workflow_type)
    if kind is None:
        return None
    try:
        require_valid_input(workflow_type, await _read_inputs(client, handle, kind), [kind])
    except ApplicationError as error:
        return error.message
    return None


async def _read_inputs(client: Client, handle: WorkflowHandle[object, object], kind: type[BaseModel]) -> list[object]:
    """Return a workflow's inputs, decoded exactly as the worker decodes them."""
    started = await anext(handle.fetch_history_events(page_size=1))
    payloads = started.workflow_execution_started_event_attributes.input.payloads
    context = WorkflowSerializationContext(namespace=client.namespace, workflow_id=handle.id)
    hints: list[type] | None = [kind] if len(payloads) == 1 else None
    return await client.data_converter.with_context(context).decode(payloads, hints)


async def read_workflow_task_failure(client: Client, workflow_id: str, run_id: str) -> str | None:
    """Return why the last workflow task of a run failed; None if no task failed.

    If several attempts of the task failed in a row, the history contains only the first failure.
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
            return "the worker started a workflow task and did not complete it in time"
    return None


async def read_workflow_failure(
    handle: WorkflowHandle[object, object], converter: DataConverter
) -> FailureError | None:
    """Return a closed workflow's failure or termination; None if the workflow ended in any other way."""
    close_event = WorkflowHistoryEventFilterType.CLOSE_EVENT
    async for event in handle.fetch_history_events(event_filter_type=close_event):
        return await _failure_in(event, converter)
    return None


_ONLY_IN_COMMANDS: Final = frozenset({"profile", "stack_name"})
"""Fields that affect only the commands shown to the customer.

The environment keeps the values from its first request.
"""


def diff_requests(found: Request | None, asked: Request) -> dict[str, str]:
    """Return the fields in which two requests differ, each with a description of the difference."""
    if found is None:
        return {"": "the earlier input cannot be read"}
    names = [name for name in type(asked).model_fields if name not in _ONLY_IN_COMMANDS]
    pairs = {name: (getattr(found, name), getattr(asked, name)) for name in names}
    return {
        name: f"{label_field(name)} is {_describe_values(theirs)}, not {_describe_values(ours)}"
        for name, (theirs, ours) in pairs.items()
        if theirs != ours
    }


def describe_conflict(environment_id: str, differing: dict[str, str]) -> str:
    """Describe how a request conflicts with the environment's original request."""
    what = f"Environment {environment_id} already exists with different values: {', '.join(differing.values())}."
    if differing.keys() <= {"tenant", "tenant_role_arn"}:
        advice = f"To set a different tenant name on the environment's keys, run `byok tenant {environment_id} <name>`."
        return f"{what} {advice}"
    return f"{what} Use the same values, or choose another environment name."


def label_field(name: str) -> str:
    """Return the label that users see for a request's field, such as `S3 key ARN` for `s3_key_arn`."""
    labels = {f"{key.value}_key_arn": key.field_label for key in KeyPurpose} | {"tenant_role_arn": "tenant role"}
    return labels.get(name, name.replace("_", " "))


def _describe_values(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "unset" if value is None else str(value)


def _with_causes(failure: Failure) -> str:
    """Return the first line of each message in a failure's chain of causes, joined with colons."""
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


def decode_failure_problems(failure: BaseException | None) -> list[Problem]:
    """Return the problems in a failure's details; empty if byok did not raise the failure."""
    found: list[Problem] = []
    for detail in failure.details if isinstance(failure, ApplicationError) else ():
        with contextlib.suppress(ValidationError):
            found.append(Problem.model_validate(detail))
    return found
