"""Adapts the texts of remedies to the wizard's pages: the names of their buttons, and the customer as the reader."""

from enum import StrEnum
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.problems.platform_remedy_texts import NO_ACTION
from byok.domain.remediation import RemedyStep, RetryRequest, RetryValues


class RetryPage(StrEnum):
    """The pages that show problems and have a button that repeats the request."""

    KEYS = "keys"
    """The page on which the key ARNs are entered and validated."""
    ENVIRONMENT = "environment"
    HEALTH = "health"
    DIAGNOSIS = "diagnosis"
    """The page that diagnoses the keys of an environment, which is one link away from the environment's page."""


_SAME: Final = {
    RetryPage.KEYS: "Select Validate keys again.",
    RetryPage.ENVIRONMENT: "Select Retry below. Provisioning resumes where it stopped.",
    RetryPage.HEALTH: "Select Check now, or wait: the environment is checked again within five minutes.",
    RetryPage.DIAGNOSIS: "Go back to the environment, and select Retry or Check now.",
}
_ANOTHER_KEY: Final = {
    RetryPage.KEYS: "Paste that ARN into the field {field}, and select Validate keys.",
    RetryPage.ENVIRONMENT: "Enter that ARN in the field {field} below, and select Retry.",
    RetryPage.DIAGNOSIS: "Go back to the environment, enter that ARN in the field {field}, and select Retry.",
}
_SAME_OR_ANOTHER_KEY: Final = {
    RetryPage.KEYS: "Select Validate keys again. If the ARN was wrong, paste the correct ARN as {field} first.",
    RetryPage.ENVIRONMENT: "Select Retry below. If the ARN was wrong, enter the correct ARN as {field} first.",
    RetryPage.DIAGNOSIS: (
        "Go back to the environment, and select Retry. If the ARN was wrong, enter the correct ARN as {field} first."
    ),
}
_SWAPPED: Final = {
    RetryPage.KEYS: "Select Swap and validate.",
    RetryPage.ENVIRONMENT: "The fields below contain the two ARNs in the correct order. Select Retry.",
    RetryPage.DIAGNOSIS: "Go back to the environment, enter the two ARNs in the correct fields, and select Retry.",
}
_WORDS: Final = {
    RetryValues.SAME: _SAME,
    RetryValues.ANOTHER_KEY: _ANOTHER_KEY,
    RetryValues.SAME_OR_ANOTHER_KEY: _SAME_OR_ANOTHER_KEY,
    RetryValues.SWAPPED_KEYS: _SWAPPED,
}
_REQUESTS: Final = {RetryRequest.CHECK_KEYS, RetryRequest.REPLAY, RetryRequest.NONE}
"""The requests that the wizard's pages can repeat."""


def say_retry(step: RemedyStep, page: str, key: KeyPurpose | None) -> str:
    """Return a description that fits the page, or the step's own text if the page has no button for this retry.

    Args:
        step: The last step of a remedy.
        page: The page that shows the remedy.
        key: The key at fault.
    """
    if step.retry is None or step.retry.request not in _REQUESTS:
        return step.text
    words = _WORDS.get(step.retry.values, {}).get(RetryPage(page))
    return words.format(field=key.field_label if key else "the key's ARN") if words else step.text


def address_customer(explanation: str) -> str:
    """Return the explanation of a remedy, addressed to the customer."""
    return explanation.replace(NO_ACTION, "You do not need to do anything.")
