"""Finds the title of a problem by its code, for lists that contain only the codes of problems."""

from functools import cache

from byok.domain.problems.aws_errors import ERROR_RULES
from byok.domain.problems.remediation import REMEDY_TEXTS


@cache  # the list of environments shows the same few codes again and again
def find_problem_title(code: str) -> str | None:
    """Return the title of the problem that an error about a customer's key causes.

    Args:
        code: The code, such as `s3.KMS.DisabledException`.

    Returns:
        The title, such as *The S3 key is disabled*; None if the error is not about a customer's key, or if the cause
        also depends on AWS's message.
    """
    found = [(rule, rule.key) for rule in ERROR_RULES if f"{rule.service}.{rule.code}" == code and rule.customer_key]
    rule, key = found[0] if len(found) == 1 else (None, None)
    if rule is None or key is None or rule.message is not None:
        return None
    return REMEDY_TEXTS[rule.remedy].title.format(key=key.display_name)
