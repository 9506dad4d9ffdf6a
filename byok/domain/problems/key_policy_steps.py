"""The steps about keys and key policies that several remedies share, and that depend on the affected key."""

from collections.abc import Callable
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.problems.remedies import Block, CaseText, Page, StepText
from byok.domain.problems.remedy_context import RemedyContext


def _append_statements(subject: RemedyContext) -> tuple[StepText, ...]:
    """Return the step that appends the statements for this key to the policy of a key that the customer chose."""
    return (
        StepText(
            _APPEND.format(what=_name_statements(subject)),
            console=f"Open the key. {_EDIT_POLICY}",
            page=Page.KEYS,
            statements=subject.key is not None,
        ),
    )


_APPEND: Final = (
    "Append {what} to the Statement array of the key policy, and leave the existing statements unchanged. {{moment}}"
)
_EDIT_POLICY: Final = "On the tab Key policy, choose Switch to policy view, and then Edit."
"""Source: AWS KMS developer guide, "Change a key policy"."""


def _name_statements(subject: RemedyContext) -> str:
    if not subject.statements_json or subject.key is None:
        return "each of the vendor's statements for this key"
    return "both of these statements" if subject.key is KeyPurpose.RDS else "this statement"


def _create_key(subject: RemedyContext) -> tuple[StepText, ...]:
    """Return the steps that create a key for the environment."""
    create = StepText(
        "Create a symmetric encryption key in {region}.",
        console="Choose Symmetric and Encrypt and decrypt, enter an alias, and leave the other values unchanged.",
        command="aws kms create-key {in_account} --query KeyMetadata.Arn --output text",
        page=Page.CREATE_KEY,
    )
    return create, *_append_statements(subject)


def _change_policy(subject: RemedyContext) -> tuple[StepText, ...]:
    """Return the step that checks the policy of a key.

    A key policy must never contain the statements for both keys (contract 127). The first case therefore applies to a
    policy that already contains the statements for the other key.
    """
    key, cases = subject.key, []
    if key is not None:
        sid = subject.vendor.s3_access_sid if key is KeyPurpose.RDS else subject.vendor.rds_grants_sid
        other = (
            f"This key is the {key.other.display_name}: leave its policy unchanged, and retry with the ARN of the "
            f"{key.display_name} as {key.field_label}."
        )
        cases.append(CaseText(f"The policy has the statement {sid}", other))
    what = _name_statements(subject)
    lacking = "one of these statements" if what.startswith("both") else what
    append = _APPEND.format(what=what) + " If the policy contains a different statement with the same Sid, replace it."
    cases += [
        CaseText(
            f"Otherwise, {lacking} is missing or different",
            append,
            statements=key is not None,
        ),
        CaseText(
            "A statement has Effect Deny and applies to {role}",
            "Make an exception for this role in that statement (ArnNotEquals on aws:PrincipalArn), or remove the "
            "statement.",
        ),
    ]
    if key is KeyPurpose.S3:
        cases.append(
            CaseText(
                "A statement has a condition on kms:EncryptionContext:aws:s3:arn",
                "Change the condition so that it allows every bucket of the platform, with and without the object's "
                "name.",
            )
        )
    return (
        StepText(
            "Check the statements of the key policy.",
            console="On the tab Key policy, choose Switch to policy view. To change the policy, choose Edit.",
            command="aws kms get-key-policy {kms} --policy-name default --query Policy --output text",
            page=Page.KEY,
            cases=tuple(cases),
        ),
    )


BLOCKS: Final[dict[Block, Callable[[RemedyContext], tuple[StepText, ...]]]] = {
    Block.CHANGE_POLICY: _change_policy,
    Block.CREATE_KEY: _create_key,
    Block.APPEND_STATEMENTS: _append_statements,
}
"""Maps each block to the function that returns the block's steps."""
