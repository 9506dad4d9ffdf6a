"""Builds the request that deletes an environment from what Temporal knows of it (contract 137)."""

from byok.domain.models import DeleteRequest
from byok.domain.phases import Phase
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import DeletionDiffersError, EnvironmentNotFoundError, EnvironmentNotReadyError
from byok.service.histories import label_field
from byok.service.status import EnvironmentStatus


async def build_delete_request(
    reader: EnvironmentReader,
    environment_id: str,
    *,
    final_snapshot: bool,
    region: str | None,
    s3_key_arn: str | None,
    rds_key_arn: str | None,
) -> DeleteRequest:
    """Build the request from the environment's status, and compare the caller's values with it.

    What the workflow does not get from here, it takes from AWS. See `EnvironmentService.build_delete_request`.
    """
    given = {"region": region, "s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
    try:
        status = await reader.read_status(environment_id)
    except EnvironmentNotFoundError as error:
        if region is None:
            raise EnvironmentNotFoundError(
                f"Environment {environment_id} not found. If Temporal no longer knows it, but AWS still has its "
                "resources, pass its Region."
            ) from error
        known: dict[str, str | None] = {}
    else:
        if status.phase is Phase.DELETED and region is None:
            raise EnvironmentNotReadyError(f"{environment_id} is already deleted.")
        known = _confirmed_values(status)
        _require_same(environment_id, known, given)
        known.setdefault("region", status.region)
    values = {name: value or known.get(name) for name, value in given.items()}
    if values["region"] is None:
        raise EnvironmentNotReadyError(f"The Region of {environment_id} is unknown: pass its Region.")
    return DeleteRequest.model_validate(
        {"environment_id": environment_id, "confirm": environment_id, "final_snapshot": final_snapshot, **values}
    )


def _confirmed_values(status: EnvironmentStatus) -> dict[str, str | None]:
    """Return the Region and the keys that AWS has confirmed.

    A run that stopped before it created or adopted anything proves nothing: its values may be wrong.
    """
    if status.evidence is not None:
        return {"region": status.region, "s3_key_arn": status.s3_key_arn, "rds_key_arn": status.rds_key_arn}
    found: dict[str, str | None] = {}
    if status.resources.cluster is not None:
        found |= {"region": status.region, "rds_key_arn": status.resources.cluster.key_arn}
    return found


def _require_same(environment_id: str, known: dict[str, str | None], given: dict[str, str | None]) -> None:
    """Require that the caller names no other values than the known ones.

    Raises:
        DeletionDiffersError: A value differs. The message names both.
    """
    differing = [
        f"its {'Region' if name == 'region' else label_field(name)} is {known[name]}, not {value}"
        for name, value in given.items()
        if value is not None and known.get(name) not in {None, value}
    ]
    if differing:
        raise DeletionDiffersError(
            f"Nothing was deleted. The deletion of {environment_id} names other values than byok knows: "
            f"{'; '.join(differing)}. Check the environment's id, or leave these values out."
        )
