"""The names of the customer's own AWS set-up that byok's commands contain: the AWS CLI profile and the keys' stack."""

from typing import Final

DEFAULT_PROFILE: Final = "byok"
"""A placeholder, which the customer replaces with the name of their own AWS CLI profile (contract 40)."""

PROFILE_PATTERN: Final = r"^[A-Za-z0-9_.-]{1,64}$"
"""What byok accepts as a profile. The AWS CLI allows more; these characters need no quotes in any shell."""

STACK_NAME_PATTERN: Final = r"^[a-zA-Z][-a-zA-Z0-9]{0,127}$"
"""The stack names that AWS accepts (source: CloudFormation, CreateStack, StackName)."""


def default_stack_name(environment_id: str) -> str:
    """Return the stack name for an environment's keys.

    It contains the environment's id: with one name for all, the command of a second environment would update the stack
    of the first environment (contract 130).
    """
    return f"byok-kms-keys-{environment_id}"
