"""The data converter and the interceptor that fail a workflow with a readable message if its input is invalid.

Without the converter and the interceptor, a workflow whose input cannot be decoded would hang. Its workflow task would
fail again and again, and the caller would never see an error.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, Self

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import SearchAttributeUpdate
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    SerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from byok.contracts import (
    CREATED_AT_ATTRIBUTE,
    ENVIRONMENT_ID_ATTRIBUTE,
    ENVIRONMENT_WORKFLOWS,
    INVALID_INPUT_ERROR_TYPE,
    INVALID_INPUT_PROBLEM_CODE,
    PHASE_ATTRIBUTE,
    PROBLEM_CODE_ATTRIBUTE,
    find_environment_id,
)
from byok.domain.models.base import RequestModel
from byok.domain.models.records import find_creation
from byok.domain.phases import Phase

ACCEPTED_ENCODING: Final = "json/plain"
"""The encoding of inputs that byok's clients send or that people enter in Temporal's UI or CLI."""


class _StoredFieldsConverter(PydanticJSONPlainPayloadConverter):
    """Omits computed fields, such as a problem's help URL.

    A program that decodes the payload computes these fields again.
    """

    def to_payload(self, value: Any) -> Payload | None:
        """See `EncodingPayloadConverter`."""
        return Payload(metadata={"encoding": self.encoding.encode()}, data=to_json(value, round_trip=True))


_CONVERTERS: Final = tuple(
    _StoredFieldsConverter() if isinstance(converter, JSONPlainPayloadConverter) else converter
    for converter in DefaultPayloadConverter.default_encoding_payload_converters
)
"""The payload converters. All instances of `StrictPayloadConverter` share the converters, because the SDK creates a new
instance for each activity."""

_KNOWN_ENCODINGS: Final = frozenset(converter.encoding.encode() for converter in _CONVERTERS)

_MAX_ENCODING_LENGTH: Final = 60
"""In messages, an unknown encoding's name is truncated to this length, because the sender chooses the name."""


def invalid_input_error(message: str, *details: Any) -> ApplicationError:
    """Build the non-retryable error that fails a workflow whose input is invalid.

    The caller of the workflow sees the message.
    """
    return ApplicationError(message, *details, type=INVALID_INPUT_ERROR_TYPE, non_retryable=True)


@dataclass(frozen=True)
class UndecodedInput:
    """Stands in for an input that cannot be decoded, and contains the error with which the workflow fails.

    If the converter raised the error, the workflow would fail before the interceptor could set search attributes.
    """

    error: ApplicationError


class StrictPayloadConverter(CompositePayloadConverter):
    """Temporal's default converters, but with pydantic's JSON converter and readable errors for workflow payloads.

    If an activity's payload cannot be decoded, the cause is a bug in byok, so the workflow must not fail. The error
    fails only the workflow task, and the workflow resumes once you deploy a worker with a fix.
    """

    _of_workflow = False

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)

    def with_context(self, context: SerializationContext) -> Self:
        """Return a converter for payloads of a workflow or of an activity, depending on the context."""
        converter = type(self)()
        converter._of_workflow = isinstance(context, WorkflowSerializationContext)
        return converter

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        """Decode payloads. An error contains the name of the invalid field, but not the field's value.

        If a workflow's input cannot be decoded, the result contains an `UndecodedInput` instead. This method recognises
        an input by its type hint. If the number of inputs is wrong, the SDK passes no type hints.

        Raises:
            ApplicationError: A payload of a workflow that is not an input, such as a memo, cannot be decoded.
            ValidationError: An activity's payload does not match its model.
        """
        if not self._of_workflow:
            return super().from_payloads(payloads, type_hints)
        return [self._decode(payload, hint) for payload, hint in zip_longest(payloads, type_hints or ())]

    def _decode(self, payload: Payload, type_hint: type | None) -> Any:
        try:
            (value,) = super().from_payloads([payload], None if type_hint is None else [type_hint])
        except ValidationError as error:
            reason = invalid_input_error(*_format_validation_error(error))
        except Exception:  # each converter raises its own errors, and an uncaught error would make the workflow hang
            reason = _encoding_error(payload)
        else:
            return value
        if type_hint is None or (inspect.isclass(type_hint) and issubclass(type_hint, RequestModel)):
            return UndecodedInput(reason)
        raise reason


class InputValidationInterceptor(Interceptor):
    """Fails a workflow if its inputs cannot be decoded or do not match its `run` method in number or type.

    The interceptor also sets the search attributes that show why the workflow stopped, because a workflow with invalid
    input publishes no progress.
    """

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: ARG002 - the SDK's signature
    ) -> type[WorkflowInboundInterceptor]:
        """See the SDK's `Interceptor`."""
        return _GuardedWorkflow


class _GuardedWorkflow(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        parameters = inspect.signature(input.run_fn).parameters.values()
        try:
            require_valid_input(
                input.type.__name__, input.args, [one.annotation for one in parameters if one.name != "self"]
            )
            return await super().execute_workflow(input)
        except ApplicationError as error:
            if error.type == INVALID_INPUT_ERROR_TYPE:
                _publish_invalid_input()
            raise


def require_valid_input(workflow_type: str, values: Sequence[object], kinds: Sequence[Any]) -> None:
    """Require that the number and types of a workflow's inputs match its `run` method.

    Args:
        workflow_type: The name of the workflow in the error message.
        values: The inputs, as `StrictPayloadConverter` decodes them for a workflow.
        kinds: The types.

    Raises:
        ApplicationError: `InvalidInput`. The message says what is wrong, but does not repeat any value.
    """
    if len(values) != len(kinds):
        raise invalid_input_error(
            f"{workflow_type} takes {len(kinds)} input, a JSON object with {_fields(kinds[0] if kinds else None)}, "
            f"but it received {len(values)}."
        )
    for kind, value in zip(kinds, values, strict=True):
        if isinstance(value, UndecodedInput):
            raise value.error
        if inspect.isclass(kind) and issubclass(kind, BaseModel) and not isinstance(value, kind):
            raise invalid_input_error(
                f"{workflow_type} takes a JSON object with {_fields(kind)}, but it received {_kind_of(value)}."
            )


def _publish_invalid_input() -> None:
    info = workflow.info()
    updates: list[SearchAttributeUpdate[Any]] = [PROBLEM_CODE_ATTRIBUTE.value_set(INVALID_INPUT_PROBLEM_CODE)]
    environment_id = find_environment_id(info.workflow_id)
    if environment_id is not None:
        updates.append(ENVIRONMENT_ID_ATTRIBUTE.value_set(environment_id))
    if info.workflow_type in ENVIRONMENT_WORKFLOWS:
        updates.append(PHASE_ATTRIBUTE.value_set(Phase.STOPPED.value))
        updates.append(CREATED_AT_ATTRIBUTE.value_set(find_creation((), info.workflow_start_time)))
    workflow.upsert_search_attributes(updates)


def _encoding_error(payload: Payload) -> ApplicationError:
    raw = payload.metadata.get("encoding", b"")
    encoding = f"the encoding {raw.decode(errors='replace')[:_MAX_ENCODING_LENGTH]!r}" if raw else "an unknown encoding"
    message = (
        f"byok cannot read an input with {encoding}. byok accepts one JSON object with the encoding "
        f"{ACCEPTED_ENCODING!r}."
    )
    if raw not in _KNOWN_ENCODINGS:
        message += " If a payload codec encoded the input, byok's workers and clients need the same codec."
    return invalid_input_error(message, [{"field": "input", "message": message, "kind": "encoding"}])


def _format_validation_error(error: ValidationError) -> tuple[str, list[dict[str, str]]]:
    faults = [
        {"field": ".".join(map(str, fault["loc"])) or "input", "message": fault["msg"], "kind": fault["type"]}
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return f"{error.title}: " + "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults), faults


def _fields(kind: Any) -> str:
    if not (inspect.isclass(kind) and issubclass(kind, BaseModel)):
        return "its fields"
    return ", ".join(name for name, field in kind.model_fields.items() if field.is_required())


def _kind_of(value: Any) -> str:
    return {list: "an array", str: "a string", bytes: "bytes", type(None): "null", dict: "an object"}.get(
        type(value), f"a {type(value).__name__}"
    )
