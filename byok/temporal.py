"""The connection to Temporal, and the plugin that clients, workers, tests and the replayer share.

The plugin adds a strict converter and input validation (`byok.temporal_inputs`), retries the client's read-only calls
(`byok.temporal_read_retry`) and keeps paused workflows readable (`byok.temporal_pause`).
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import temporalio.api.failure.v1
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.converter import DataConverter, DefaultFailureConverter, PayloadConverter
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient
from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from byok.contracts import INVALID_INPUT_ERROR_TYPE, SEARCH_ATTRIBUTES, name_attribute_type
from byok.domain.models import Problem
from byok.temporal_fairness import FairnessInterceptor
from byok.temporal_inputs import InputValidationInterceptor, StrictPayloadConverter
from byok.temporal_pause import PauseTolerantServiceClient

DEFAULT_ADDRESS = "localhost:7233"

_SHARED_WITH_WORKFLOWS = ("activities", "byok", "structlog", "boto3", "botocore")
"""The packages that workflows or activity classes import, and that the workflow sandbox must not reload."""


class LeanFailureConverter(DefaultFailureConverter):
    """Omits the stack trace and the cause from a failure that contains a problem or reports an invalid input.

    The stack trace and the cause would only show where in byok's code the error occurred, which does not help the
    reader. The stack trace and the cause would also make the failure too large: when the server retries an attempt, it
    replaces a failure of more than 4 KiB with "Failure exceeds size limit."
    """

    def to_failure(
        self,
        exception: BaseException,
        payload_converter: PayloadConverter,
        failure: temporalio.api.failure.v1.Failure,
    ) -> None:
        """See the SDK's `FailureConverter`."""
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, ApplicationError) and (
            exception.type == INVALID_INPUT_ERROR_TYPE or any(isinstance(item, Problem) for item in exception.details)
        ):
            failure.stack_trace = ""
            failure.ClearField("cause")


class _Plugin(SimplePlugin):
    call_timeout: timedelta | None = None

    async def connect_service_client(
        self, config: ConnectConfig, next: Callable[[ConnectConfig], Awaitable[ServiceClient]]
    ) -> ServiceClient:
        return PauseTolerantServiceClient(await next(config), self.call_timeout)


def make_plugin(call_timeout: timedelta | None = None) -> SimplePlugin:
    """Build byok's plugin.

    Pass the plugin only to a client, because a worker or replayer uses the plugin of its client.

    Args:
        call_timeout: How long one call of the client may take; None for the SDK's limit.
    """
    plugin = _Plugin(
        "byok",
        data_converter=_with_strict_payloads,
        interceptors=[FairnessInterceptor(), InputValidationInterceptor()],
        workflow_runner=_with_shared_modules,
    )
    plugin.call_timeout = call_timeout
    return plugin


async def connect(call_timeout: timedelta | None = None) -> Client:
    """Connect to the server that Temporal's environment configuration specifies.

    The configuration covers the address (`TEMPORAL_ADDRESS`), profiles, TLS and API keys.

    Args:
        call_timeout: How long one call may take once the client is connected; None for the SDK's limit.

    Raises:
        RuntimeError: The Temporal server cannot be reached.
        RuntimeError: The configuration specifies a profile that does not exist.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", DEFAULT_ADDRESS)
    return await Client.connect(**config, plugins=[make_plugin(call_timeout)])


async def register_search_attributes(client: Client) -> None:
    """Register byok's search attributes in the namespace. Attributes that already exist stay unchanged.

    Without its search attributes, a workflow would hang in its first phase. A worker therefore registers the search
    attributes before it polls for work.

    Raises:
        RuntimeError: The namespace does not exist, or Temporal denies access to it.
        RuntimeError: Search attributes are missing, and Temporal does not let a client add them (as on Temporal Cloud).
            The error message contains the command that adds the search attributes.
    """
    asked = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        known = await client.operator_service.list_search_attributes(asked)
    except RPCError as error:
        raise RuntimeError(f"Temporal rejected the request: {error.message}") from error
    missing = [key for key in SEARCH_ATTRIBUTES if key.name not in known.custom_attributes]
    if not missing:
        return
    request = AddSearchAttributesRequest(
        namespace=client.namespace,
        search_attributes={key.name: IndexedValueType.ValueType(key.indexed_value_type.value) for key in missing},
    )
    try:
        await client.operator_service.add_search_attributes(request)
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return
        options = " ".join(f"--name {key.name} --type {name_attribute_type(key)}" for key in missing)
        names = ", ".join(key.name for key in missing)
        raise RuntimeError(
            f"The namespace {client.namespace} lacks the search attributes {names}, and Temporal did not "
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
