"""Opens the door: finds Temporal as its own environment configuration says."""

from temporalio.envconfig import ClientConfig

from byok.service.environments import EnvironmentService
from byok.service.errors import TemporalRefusedError, TemporalUnreachableError
from byok.service.temporal_errors import extract_reason
from byok.temporal import DEFAULT_ADDRESS, connect


async def connect_service() -> EnvironmentService:
    """The door, opened as Temporal's own environment configuration says.

    Raises:
        TemporalUnreachableError: Nothing answers.
        TemporalRefusedError: The configuration cannot be used: it names a profile that does not exist.
    """
    try:
        address = ClientConfig.load_client_connect_config().get("target_host", DEFAULT_ADDRESS)
    except RuntimeError as error:
        raise TemporalRefusedError(f"Temporal's configuration cannot be used: {error}") from error
    try:
        return EnvironmentService(await connect())
    except RuntimeError as error:
        raise TemporalUnreachableError(
            f"Temporal does not answer at {address}. Start everything on this machine with `byok up`, or name another "
            f"address in TEMPORAL_ADDRESS. ({extract_reason(error)})"
        ) from error
