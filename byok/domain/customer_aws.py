"""Names from the customer's AWS setup that appear in byok's commands: the AWS CLI profile and the key stack."""

import shlex
from typing import Final

DEFAULT_PROFILE: Final = "byok"
"""A placeholder, which the customer replaces with the name of their own AWS CLI profile (contract 40)."""

PROFILE_PATTERN: Final = r"^[A-Za-z0-9_.-]{0,64}$"
"""Matches the profile names that byok accepts, and the empty string, which means that commands contain no profile. The
AWS CLI allows more characters, but a name that matches this pattern never needs quotes in a shell."""

STACK_NAME_PATTERN: Final = r"^[a-zA-Z][-a-zA-Z0-9]{0,127}$"
"""The stack names that AWS accepts (source: CloudFormation, CreateStack, StackName)."""


def list_profile_options(profile: str) -> tuple[str, ...]:
    """Return the AWS CLI option for the customer's profile; an empty tuple if `profile` is empty.

    Without a profile, the AWS CLI uses the credentials of the shell, as in AWS CloudShell.
    """
    return (f"--profile {shlex.quote(profile)}",) if profile else ()


def build_account_options(profile: str, region: str) -> str:
    """Return the AWS CLI options for the customer's account and Region."""
    return " ".join((*list_profile_options(profile), f"--region {region}"))


def default_stack_name(environment_id: str) -> str:
    """Return the stack name for an environment's keys.

    The name contains the environment's id. If all environments used one name, the command for a second environment
    would update the first environment's stack (contract 130).
    """
    return f"byok-kms-keys-{environment_id}"
