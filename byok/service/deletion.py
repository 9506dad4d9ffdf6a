"""Uses an environment's data in Temporal to build the request that deletes the environment (contract 137)."""

from byok.domain.models import DeleteRequest
from byok.domain.phases import Encryption, Phase
from byok.service.encryption import require_same_encryption
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
    encryption: Encryption | None,
    s3_key_arn: str | None,
    rds_key_arn: str | None,
) -> DeleteRequest:
    """Build the request from the environment's status, and compare the caller's values with the status.

    If neither the status nor the caller provides a value, the workflow reads the value from AWS. See
    `EnvironmentService.build_delete_request`.
    """
    given = {"region": region, "s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
    if encryption is None and (s3_key_arn or rds_key_arn):
        encryption = Encryption.CUSTOMER_MANAGED
    try:
        status = await reader.read_status(environment_id)
    except EnvironmentNotFoundError as error:
        if reader.requester is not None and reader.requester.organisation is not None:
            raise  # the environment's owner is unknown, so only the vendor may delete the environment
        if region is None:
            raise EnvironmentNotFoundError(
                f"Environment {environment_id} not found. If Temporal no longer has a record of the environment, but "
                "AWS still has its resources, pass the environment's Region."
            ) from error
        known: dict[str, str | None] = {}
        organisation = None
    else:
        organisation = status.organisation
        if status.phase is Phase.DELETED and region is None:
            raise EnvironmentNotReadyError(f"{environment_id} is already deleted.")
        known = _confirmed_values(status)
        if known and encryption is not None:
            require_same_encryption(status, encryption)
        _require_same(environment_id, known, given)
        encryption = status.encryption if known else encryption
        known.setdefault("region", status.region)
    values = {name: value or known.get(name) for name, value in given.items()}
    if values["region"] is None:
        raise EnvironmentNotReadyError(f"The Region of {environment_id} is unknown: specify the environment's Region.")
    confirmed = {"environment_id": environment_id, "confirm": environment_id, "final_snapshot": final_snapshot}
    owner = {"organisation": organisation, "encryption": encryption}
    return DeleteRequest.model_validate({**confirmed, **owner, **values})


def _confirmed_values(status: EnvironmentStatus) -> dict[str, str | None]:
    """Return the Region and the customer's keys that AWS has confirmed; empty if AWS has confirmed nothing.

    A run that stopped before it created or adopted a cluster does not confirm anything, because its values can be
    wrong.
    """
    if status.evidence is not None:
        return {"region": status.region, "s3_key_arn": status.s3_key_arn, "rds_key_arn": status.rds_key_arn}
    if status.resources.cluster is None:
        return {}
    customers = status.encryption is Encryption.CUSTOMER_MANAGED
    return {"region": status.region, "rds_key_arn": status.resources.cluster.key_arn if customers else None}


def _require_same(environment_id: str, known: dict[str, str | None], given: dict[str, str | None]) -> None:
    """Require that the caller's values match the confirmed values.

    Raises:
        DeletionDiffersError: A value differs. The message contains both the confirmed value and the caller's value.
    """
    differing = [
        f"its {'Region' if name == 'region' else label_field(name)} is {known[name]}, not {value}"
        for name, value in given.items()
        if value is not None and known.get(name) not in {None, value}
    ]
    if differing:
        raise DeletionDiffersError(
            f"Nothing was deleted. The request to delete {environment_id} contains values that differ from the "
            f"environment's: {'; '.join(differing)}. Check the environment's id, or leave these values out."
        )
