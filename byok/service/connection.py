"""Connects to Temporal with the settings from Temporal's environment configuration."""

from datetime import timedelta

from temporalio.client import Client
from temporalio.envconfig import ClientConfig

from byok.domain.quotas import Quotas
from byok.service.environments import EnvironmentService
from byok.service.errors import TemporalRefusedError, TemporalUnreachableError
from byok.service.temporal_errors import extract_reason
from byok.temporal import DEFAULT_ADDRESS, connect


async def connect_service(quotas: Quotas | None = None, *, call_timeout: timedelta | None = None) -> EnvironmentService:
    """Connect to Temporal, and return an `EnvironmentService`.

    The settings of the connection come from Temporal's environment configuration.

    Args:
        quotas: How much each organisation may use. Only a program that starts workflows needs this argument.
        call_timeout: How long one call to Temporal may take; None for the SDK's default limit.

    Raises:
        TemporalUnreachableError: The server cannot be reached.
        TemporalRefusedError: The configuration is invalid, for example because its profile does not exist.
    """
    return EnvironmentService(await connect_client(call_timeout), quotas=quotas)


async def connect_client(call_timeout: timedelta | None = None) -> Client:
    """Connect to Temporal, and return a client. See `connect_service`.

    Raises:
        TemporalUnreachableError: The server cannot be reached.
        TemporalRefusedError: The configuration is invalid, for example because its profile does not exist.
    """
    try:
        address = ClientConfig.load_client_connect_config().get("target_host", DEFAULT_ADDRESS)
    except RuntimeError as error:
        raise TemporalRefusedError(f"The Temporal client configuration is invalid: {error}") from error
    try:
        return await connect(call_timeout)
    except RuntimeError as error:
        raise TemporalUnreachableError(
            f"Cannot reach the Temporal server at {address}. Start a local stack with `byok up`, or set "
            f"TEMPORAL_ADDRESS to another address. ({extract_reason(error)})"
        ) from error
