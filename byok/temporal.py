"""The connection to Temporal, and the plugin that clients, workers, tests and the replayer share.

The plugin adds a strict JSON converter and input validation. Without these, a workflow whose input cannot be decoded
would hang: its workflow task would fail again and again, and the caller would never see an error. The plugin also
retries the client's read-only calls (`byok.temporal_read_retry`) and keeps paused workflows readable
(`byok.temporal_pause`).
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
from byok.temporal_pause import PauseTolerantServiceClient

DEFAULT_ADDRESS = "localhost:7233"

_SHARED_WITH_WORKFLOWS = ("activities", "byok", "structlog", "boto3", "botocore")
"""The packages that workflows or activity classes import, and that the workflow sandbox must not reload."""


def invalid_input_error(message: str, *details: Any) -> ApplicationError:
    """Build the failure of a workflow that received invalid input. It is non-retryable, and callers see the message."""
    return ApplicationError(message, *details, type=INVALID_INPUT_ERROR_TYPE, non_retryable=True)


class StrictJSONConverter(PydanticJSONPlainPayloadConverter, WithSerializationContext):
    """A pydantic JSON converter that fails a workflow with a readable message if the workflow's input is invalid.

    If an activity's payload cannot be decoded, byok has a bug, and the workflow must not fail. The error fails only
    the workflow task, and the workflow resumes once you deploy a worker with a fix.
    """

    _of_workflow = False
    _other: Self | None = None

    def with_context(self, context: SerializationContext) -> Self:
        """Return a converter that knows whether its payloads belong to a workflow or to an activity."""
        if isinstance(context, WorkflowSerializationContext) == self._of_workflow:
            return self
        if self._other is None:
            self._other = copy.copy(self)
            self._other._of_workflow, self._other._other = not self._of_workflow, self
        return self._other

    def from_payload(self, payload: temporalio.api.common.v1.Payload, type_hint: type | None = None) -> Any:
        """Decode a payload. An error names the invalid field, but does not repeat the field's value.

        Raises:
            ApplicationError: A workflow's payload does not match its model. The error's type is `InvalidInput`, and the
                error fails the workflow.
            ValidationError: An activity's payload does not match its model.
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
"""The payload converters. They are created once, because the SDK creates a `StrictPayloadConverter` per activity."""


class StrictPayloadConverter(CompositePayloadConverter):
    """Temporal's default converters, with `StrictJSONConverter` in place of the plain JSON converter."""

    def __init__(self) -> None:
        super().__init__(*_CONVERTERS)


class LeanFailureConverter(DefaultFailureConverter):
    """Omits the stack trace and the cause from a failure that contains a problem.

    The stack trace and the cause would only show where byok's code received AWS's error, which does not help the
    reader. They would also make the failure too large: for an attempt that is retried, the server keeps a failure of at
    most 4 KiB and replaces a larger one with "Failure exceeds size limit."
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
    """Fails a workflow if its arguments do not match its `run` method in number or type."""

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
                f"it received {len(input.args)}."
            )
        for parameter, value in zip(takes, input.args, strict=True):
            kind = parameter.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel) and not isinstance(value, kind):
                raise invalid_input_error(
                    f"{input.type.__name__} takes a JSON object with {_fields(kind)}; it received {_kind_of(value)}."
                )
        return await super().execute_workflow(input)


class _Plugin(SimplePlugin):
    async def connect_service_client(
        self, config: ConnectConfig, next: Callable[[ConnectConfig], Awaitable[ServiceClient]]
    ) -> ServiceClient:
        return PauseTolerantServiceClient(await next(config))


def make_plugin() -> SimplePlugin:
    """Build byok's plugin. Pass it to a client. A worker or replayer then uses its client's plugin."""
    return _Plugin(
        "byok",
        data_converter=_with_strict_payloads,
        interceptors=[InputValidationInterceptor()],
        workflow_runner=_with_shared_modules,
    )


async def connect() -> Client:
    """Connect to the server that Temporal's environment configuration names.

    The configuration covers the address (`TEMPORAL_ADDRESS`), profiles, TLS and API keys.

    Raises:
        RuntimeError: The Temporal server cannot be reached.
        RuntimeError: The configuration names a profile that does not exist.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", DEFAULT_ADDRESS)
    return await Client.connect(**config, plugins=[make_plugin()])


async def register_search_attributes(client: Client) -> None:
    """Register byok's search attributes in the namespace. Attributes that already exist stay unchanged.

    Without its search attributes, a workflow would hang in its first phase. A worker therefore registers them before it
    polls for work.

    Raises:
        RuntimeError: The namespace does not exist, or Temporal denies access to it.
        RuntimeError: Search attributes are missing, and Temporal does not let a client add them (as on Temporal Cloud).
            The message contains the command to run.
    """
    asked = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        known = await client.operator_service.list_search_attributes(asked)
    except RPCError as error:
        raise RuntimeError(f"Temporal rejected the request: {error.message}") from error
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
            f"The namespace {client.namespace} lacks the search attributes {', '.join(missing)}, and Temporal did not "
            f"let byok add them ({error.message}). Add them: temporal operator search-attribute create {options}"
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
