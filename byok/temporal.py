"""How everybody here speaks to Temporal: one plugin for client, worker, tests and replayer, and one way to connect.

The plugin carries a strict JSON converter and an input guard. Without them an input that does not decode makes a
workflow task fail without end: the workflow hangs, and the person who typed the input is told nothing. It also retries
what its client reads (`byok.temporal_read_retry`).
"""

import copy
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, Self

import temporalio.api.common.v1
import temporalio.api.failure.v1
from pydantic import BaseModel, ValidationError
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from byok.contracts import INVALID_INPUT_ERROR_TYPE, SEARCH_ATTRIBUTES
from byok.domain.models import Problem
from byok.temporal_read_retry import ReadRetryingServiceClient

DEFAULT_ADDRESS = "localhost:7233"

_SHARED_WITH_WORKFLOWS = ("activities", "byok", "structlog", "boto3", "botocore")
"""Modules the workflow sandbox takes as they are: our pure ones, and what activity classes import for themselves."""


def invalid_input_error(message: str, *details: Any) -> ApplicationError:
    """The failure of a workflow whose input cannot be used: final, in words for the person who typed it."""
    return ApplicationError(message, *details, type=INVALID_INPUT_ERROR_TYPE, non_retryable=True)


class StrictJSONConverter(PydanticJSONPlainPayloadConverter, WithSerializationContext):
    """JSON through pydantic, with a readable failure where a workflow's own input does not fit its model.

    Only payloads of a workflow end it. An activity's result that does not decode is a mistake of ours: it keeps failing
    the workflow task, which goes on as soon as a mended worker is there.
    """

    _of_workflow = False
    _other: Self | None = None

    def with_context(self, context: SerializationContext) -> Self:
        """A converter that knows whether it reads a workflow's payloads or an activity's."""
        if isinstance(context, WorkflowSerializationContext) == self._of_workflow:
            return self
        if self._other is None:
            self._other = copy.copy(self)
            self._other._of_workflow, self._other._other = not self._of_workflow, self
        return self._other

    def from_payload(self, payload: temporalio.api.common.v1.Payload, type_hint: type | None = None) -> Any:
        """Decode, and say which field is wrong without repeating its value.

        Raises:
            ApplicationError: A workflow's payload does not fit; of type `InvalidInput`, it ends the workflow.
        """
        try:
            return super().from_payload(payload, type_hint)
        except ValidationError as error:
            if not self._of_workflow:
                raise
            raise invalid_input_error(*_format_validation_error(error)) from None


_CONVERTERS: Final = tuple(
    StrictJSONConverter() if isinstance(converter, JSONPlainPayloadConverter) else converter
    for converter in DefaultPayloadConverter.default_encoding_payload_converters
)
"""Made once: the SDK makes a converter of ours for every step."""


class StrictPayloadConverter(CompositePayloadConverter):
    """Temporal's default converters, with `StrictJSONConverter` in the place of plain JSON."""

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)


class LeanFailureConverter(DefaultFailureConverter):
    """Leaves the stack trace and the cause out of a failure that carries a problem.

    They would say where in our code AWS's answer was read, which helps nobody; and of a try that is repeated the server
    keeps at most 4 KiB, and puts "Failure exceeds size limit." in the place of anything larger.
    """

    def to_failure(
        self,
        exception: BaseException,
        payload_converter: PayloadConverter,
        failure: temporalio.api.failure.v1.Failure,
    ) -> None:
        """See the SDK's `FailureConverter`."""
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, ApplicationError) and any(isinstance(item, Problem) for item in exception.details):
            failure.stack_trace = ""
            failure.ClearField("cause")


class InputValidationInterceptor(Interceptor):
    """Ends a workflow whose arguments are not what its `run` takes: too few, too many, or of another kind."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: ARG002 - the SDK's signature
    ) -> type[WorkflowInboundInterceptor]:
        """See the SDK's `Interceptor`."""
        return _GuardedWorkflow


class _GuardedWorkflow(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        signature = inspect.signature(input.run_fn)
        takes = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
        expected = takes[0].annotation if takes else None
        if len(input.args) != len(takes):
            raise invalid_input_error(
                f"{input.type.__name__} takes {len(takes)} input, a JSON object with {_fields(expected)}; "
                f"it was given {len(input.args)}."
            )
        for parameter, value in zip(takes, input.args, strict=True):
            kind = parameter.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel) and not isinstance(value, kind):
                raise invalid_input_error(
                    f"{input.type.__name__} takes a JSON object with {_fields(kind)}; it was given {_kind_of(value)}."
                )
        return await super().execute_workflow(input)


class _Plugin(SimplePlugin):
    async def connect_service_client(
        self, config: ConnectConfig, next: Callable[[ConnectConfig], Awaitable[ServiceClient]]
    ) -> ServiceClient:
        return ReadRetryingServiceClient(await next(config))


def make_plugin() -> SimplePlugin:
    """The one plugin; a worker or replayer takes it from its client."""
    return _Plugin(
        "byok",
        data_converter=_with_strict_payloads,
        interceptors=[InputValidationInterceptor()],
        workflow_runner=_with_shared_modules,
    )


async def connect() -> Client:
    """A client as Temporal's own environment configuration says (`TEMPORAL_ADDRESS`, profiles, TLS, API keys).

    Raises:
        RuntimeError: Nothing answers at the address.
        RuntimeError: The configuration names a profile that does not exist.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", DEFAULT_ADDRESS)
    return await Client.connect(**config, plugins=[make_plugin()])


async def register_search_attributes(client: Client) -> None:
    """Make the namespace know our search attributes; what it knows already stays.

    Without them a workflow would hang at its first phase, so a worker does this before it takes work.

    Raises:
        RuntimeError: There is no such namespace, or it is not ours.
        RuntimeError: The namespace lacks some and does not let us add them, as on Temporal Cloud; the message has the
            command to run.
    """
    asked = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        known = await client.operator_service.list_search_attributes(asked)
    except RPCError as error:
        raise RuntimeError(f"Temporal refuses: {error.message}") from error
    missing = [key.name for key in SEARCH_ATTRIBUTES if key.name not in known.custom_attributes]
    if not missing:
        return
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes=dict.fromkeys(missing, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return
        options = " ".join(f"--name {name} --type Keyword" for name in missing)
        raise RuntimeError(
            f"The namespace {client.namespace} lacks the search attributes {', '.join(missing)}, and adding them was "
            f"refused ({error.message}). Add them: temporal operator search-attribute create {options}"
        ) from error


def _with_strict_payloads(converter: DataConverter | None) -> DataConverter:
    return replace(
        converter or DataConverter.default,
        payload_converter_class=StrictPayloadConverter,
        failure_converter_class=LeanFailureConverter,
    )


def _with_shared_modules(runner: WorkflowRunner | None) -> WorkflowRunner:
    if not isinstance(runner, SandboxedWorkflowRunner):
        return runner or SandboxedWorkflowRunner()
    return replace(runner, restrictions=runner.restrictions.with_passthrough_modules(*_SHARED_WITH_WORKFLOWS))


def _format_validation_error(error: ValidationError) -> tuple[str, list[dict[str, str]]]:
    faults = [
        {"field": ".".join(map(str, fault["loc"])) or "input", "message": fault["msg"], "kind": fault["type"]}
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return f"{error.title}: " + "; ".join(f"{fault['field']}: {fault['message']}" for fault in faults), faults


def _fields(kind: Any) -> str:
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return "its fields"
    return ", ".join(name for name, field in kind.model_fields.items() if field.is_required())


def _kind_of(value: Any) -> str:
    return {list: "an array", str: "a string", bytes: "bytes", type(None): "null", dict: "an object"}.get(
        type(value), f"a {type(value).__name__}"
    )
