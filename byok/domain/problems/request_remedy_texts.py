"""The texts of the remedies that change the request, for example its ARNs."""

from typing import Final

from byok.domain.problems.remedies import Remedy, RemedyText, RetryText, StepText
from byok.domain.remediation import Actor, RetryValues

REQUEST_REMEDY_TEXTS: Final[dict[Remedy, RemedyText]] = {
    Remedy.KEYS_EXCHANGED: RemedyText(
        "The two key ARNs are swapped",
        (
            StepText("Use {other_arn} as {field}.", actor=Actor.REQUESTER),
            StepText("Use {key_arn} as {other_field}.", actor=Actor.REQUESTER),
        ),
        "Do not change the key policies.",
        RetryText(RetryValues.SWAPPED_KEYS, "Retry with the two ARNs swapped."),
    ),
    Remedy.OTHER_KEY: RemedyText(
        "A resource is already encrypted with a different {key}",
        (
            StepText("Set {field} to the ARN of the key that the resource was created with.", actor=Actor.REQUESTER),
            StepText(
                "Alternatively, delete the resource that is encrypted with the other key.",
                actor=Actor.PLATFORM_OPERATOR,
            ),
        ),
        "A resource of this environment is encrypted with a key other than {key_arn}, and the key of a resource cannot "
        "be changed.",
        RetryText(
            RetryValues.SAME_OR_ANOTHER_KEY,
            "Retry with that ARN as {field}, or with the same values once the resource is deleted.",
        ),
    ),
    Remedy.ENCRYPTION_CANNOT_CHANGE: RemedyText(
        "The kind of encryption of an environment cannot be changed",
        (
            StepText(
                "To use the other kind of encryption, create an environment with a different id.",
                actor=Actor.REQUESTER,
            ),
            StepText(
                "To continue with this environment, use the encryption that it already uses. If the environment's keys "
                "are customer-managed, specify these two keys. If the environment's keys are platform-managed, specify "
                "no keys and `encryption: platform-managed`.",
                actor=Actor.REQUESTER,
            ),
        ),
        "Nothing was changed.",
        RetryText(RetryValues.CORRECTED, "Retry with the corrected values."),
    ),
    Remedy.TENANT_NAME: RemedyText(
        "The tenant name is not allowed",
        (
            StepText(
                "Choose a tenant name of at most {longest} letters, digits, hyphens, underscores and slashes.",
                actor=Actor.REQUESTER,
            ),
        ),
        "Nothing was changed.",
        RetryText(RetryValues.CORRECTED, "Retry with that name."),
    ),
    Remedy.ENVIRONMENT_NOT_THERE: RemedyText(
        "The environment does not exist or is not ready",
        (
            StepText(
                "Check the environment's id and Region, and that the environment is READY (`byok list`, `byok "
                "status`).",
                actor=Actor.REQUESTER,
            ),
        ),
        "byok wrote nothing, because keys get a tenant name only after their environment exists.",
    ),
    Remedy.NOT_THESE_KEYS: RemedyText(
        "The {key} is not a key of this environment",
        (
            StepText(
                "Look up the environment's keys with `byok status`. `byok tenant` uses those keys.",
                actor=Actor.REQUESTER,
            ),
        ),
        "byok wrote nothing, because a tenant name can be set only on the keys that the environment was created with, "
        "and {key_arn} is not one of those keys.",
        RetryText(RetryValues.ANOTHER_KEY, "Retry with the correct ARN as {field}."),
    ),
    Remedy.CANCELLED: RemedyText(
        "A user cancelled the request", explanation="No error occurred: a user requested the cancellation."
    ),
    Remedy.MALFORMED_REQUEST: RemedyText(
        "The request is invalid",
        (StepText("Correct the field in the message above.", actor=Actor.REQUESTER),),
        "Nothing was created.",
        RetryText(RetryValues.CORRECTED, "Retry with the corrected value."),
    ),
    Remedy.ORGANISATION_QUOTA: RemedyText(
        "The organisation has reached its quota",
        (StepText("{advice}", actor=Actor.REQUESTER),),
        "byok has not used the keys, and has created nothing.",
    ),
    Remedy.ACCOUNT_NOT_REGISTERED: RemedyText(
        "The AWS account of the {key} is not registered",
        (
            StepText(
                "If the account belongs to {organisation}, register it.",
                command="byok accounts allow {organisation} {key_account}",
                actor=Actor.PLATFORM_OPERATOR,
            ),
        ),
    ),
}
