"""Read the platform role and the Region from options or settings, for commands that work with keys."""

from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.output import UsageError
from byok.domain import regions
from byok.domain.arns import KeyPurpose, account_id_of_role, partition_of_region

if TYPE_CHECKING:
    from byok.settings import Settings

Region = Annotated[str, typer.Option(help="The environment's AWS Region.")]
KeyName = Annotated[str, typer.Argument(metavar="{s3|aurora}", help="Which of the two keys.")]
PlatformRole = Annotated[
    str | None,
    typer.Option(
        "--platform-role-arn",
        help="The platform role, to which the key policies grant access. [default: BYOK_PLATFORM_ROLE_ARN]",
    ),
]

Organisation = Annotated[
    str | None, typer.Option(help="The organisation that owns the environment. [default: the vendor]")
]


def require_region(region: str) -> str:
    """Return the Region if AWS has a Region with this name (contract 133).

    Raises:
        UsageError: The text is not the name of an AWS Region.
    """
    try:
        return regions.require_region(region)
    except regions.UnknownRegionError as error:
        raise UsageError(f"--region: {region!r} is {error}.") from error


def require_platform_role_arn(option: str | None, settings: "Settings", region: str) -> str:
    """Return the platform role's ARN.

    Raises:
        UsageError: The role is not set, the value is not a role ARN, or the Region is in a different partition.
    """
    role = option or settings.platform_role_arn
    if role is None:
        raise UsageError(
            "The platform role is not set: set BYOK_PLATFORM_ROLE_ARN or pass --platform-role-arn. The platform role "
            "is the role that the workers' AWS credentials belong to."
        )
    try:
        account_id_of_role(role)
    except ValueError as error:
        raise UsageError(f"--platform-role-arn: {error}") from error
    if role.split(":")[1] != partition_of_region(region):
        raise UsageError(
            f"{region} is in partition {partition_of_region(region)}, but the platform role is {role}: a role cannot "
            "use keys in another partition."
        )
    return role


def parse_key_purpose(name: str) -> KeyPurpose:
    """Parse the name of one of the two keys. The Aurora key can be called `aurora` or `rds`.

    Raises:
        UsageError: The name is not `s3`, `aurora` or `rds`.
    """
    names = {"s3": KeyPurpose.S3, "aurora": KeyPurpose.RDS, "rds": KeyPurpose.RDS}
    if name.lower() not in names:
        raise UsageError(f"{name!r} is not a key: pass s3 or aurora.")
    return names[name.lower()]
