"""Passes the list of an environment's earlier attempts to a new workflow, in the workflow's memo.

Without this list, the attempts would be lost when Temporal deletes the earlier runs (contract 148).
"""

from typing import Any, Final

from temporalio.client import Client

from byok.contracts import EARLIER_ATTEMPTS_MEMO
from byok.domain.models.attempts import pack_earlier_attempts
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import EnvironmentNotFoundError

_MEMO_MAX_BYTES: Final = 2048
"""The maximum size of the memo. If the memo of a start request is larger, the SDK logs a warning (TMPRL1103)."""

_OVERHEAD_BYTES: Final = 128
"""How many bytes of the memo are reserved for field names and encodings."""


async def build_attempts_memo(
    client: Client, environment_id: str, organisation: str | None, used_bytes: int
) -> dict[str, Any]:
    """Return the memo field that contains the owner's attempts so far; empty if there were no attempts.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        environment_id: The environment.
        organisation: The organisation that owns the environment. Attempts of an earlier owner of the id are left out.
        used_bytes: The size of the other memo fields. The larger these fields are, the fewer attempts fit in the memo.
    """
    reader = EnvironmentReader(client)
    try:
        status = await reader.read_status(environment_id)
        if status.organisation != organisation:
            return {}
        attempts = await reader.list_attempts(status)
    except EnvironmentNotFoundError:
        return {}
    packed = pack_earlier_attempts(attempts, _MEMO_MAX_BYTES - _OVERHEAD_BYTES - used_bytes)
    return {} if packed is None else {EARLIER_ATTEMPTS_MEMO: packed}
