"""Finds the title of a problem by its code, for lists that contain only the codes of problems."""

from functools import cache
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.problems.aws_errors import ERROR_RULES
from byok.domain.problems.remediation import REMEDY_TEXTS

_KEYS: Final = {"s3": KeyPurpose.S3, "rds": KeyPurpose.RDS}
"""The key that each service uses."""


@cache  # the list of environments shows the same few codes again and again
def find_problem_title(code: str) -> str | None:
    """Return the title of the problem that an error about a customer's key causes.

    Args:
        code: The code, such as `s3.KMS.DisabledException`.

    Returns:
        The title, such as *The S3 key is disabled*; None if the error is not about a customer's key, or if the cause
        also depends on AWS's message.
    """
    service, _, name = code.partition(".")
    rules = [rule for rule in ERROR_RULES if (rule.service, rule.code, rule.customer_key) == (service, name, True)]
    if service not in _KEYS or len(rules) != 1 or rules[0].message is not None:
        return None
    return REMEDY_TEXTS[rules[0].remedy].title.format(key=_KEYS[service].display_name)
