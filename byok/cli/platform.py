"""For whom and where the commands on keys speak: the platform's role and the Region, as options or settings say."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.output import UsageError
from byok.domain.arns import REGION_PATTERN, KeyPurpose, account_id_of_role, partition_of_region

if TYPE_CHECKING:
    from byok.settings import Settings

Region = Annotated[str, typer.Option(help="The environment's AWS Region.")]
KeyName = Annotated[str, typer.Argument(metavar="{s3|aurora}", help="Which of the two keys.")]
PlatformRole = Annotated[
    str | None,
    typer.Option("--platform-role-arn", help="The role that the key policies name. [default: BYOK_PLATFORM_ROLE_ARN]"),
]


def require_region(region: str) -> str:
    """The Region, if it can be one.

    Raises:
        UsageError: It is no name of a Region.
    """
    if not re.fullmatch(REGION_PATTERN, region):
        raise UsageError(f"--region: {region!r} is not the name of an AWS Region, such as eu-central-1.")
    return region


def require_platform_role_arn(option: str | None, settings: "Settings", region: str) -> str:
    """The role's ARN.

    Raises:
        UsageError: It is not known, is none, or is of another partition than the Region.
    """
    role = option or settings.platform_role_arn
    if role is None:
        raise UsageError(
            "The platform's role is not known: set BYOK_PLATFORM_ROLE_ARN, or give --platform-role-arn. It is the role "
            "that the workers' AWS credentials belong to."
        )
    try:
        account_id_of_role(role)
    except ValueError as error:
        raise UsageError(f"--platform-role-arn: {error}") from error
    if role.split(":")[1] != partition_of_region(region):
        raise UsageError(
            f"{region} is in partition {partition_of_region(region)}, and the platform's role is {role}: a role cannot "
            "use keys of another partition."
        )
    return role


def parse_key_purpose(name: str) -> KeyPurpose:
    """The key that a person means; `rds` is understood as well.

    Raises:
        UsageError: Neither of the two.
    """
    names = {"s3": KeyPurpose.S3, "aurora": KeyPurpose.RDS, "rds": KeyPurpose.RDS}
    if name.lower() not in names:
        raise UsageError(f"{name!r} is neither of the two keys: give s3 or aurora.")
    return names[name.lower()]
