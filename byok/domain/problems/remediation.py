"""Builds remedies: instructions for fixing a problem, with the reader's values filled in.

Most readers are the customers' key administrators, who know the AWS console but are not necessarily developers. Every
step of a remedy is therefore an instruction. The last step is always the retry; every other step states who carries it
out. The texts are in `key_remedy_texts`, `arn_remedy_texts`, `request_remedy_texts`, `platform_remedy_texts` and
`key_policy_steps`.
`byok.domain.problems.aws_errors` decides which remedy belongs to an error.
"""

import shlex
from dataclasses import replace
from typing import Final

from byok.domain.arns import KeyArnErrorCode
from byok.domain.aws_console import create_key_url, key_list_url, key_url
from byok.domain.phases import RequestKind
from byok.domain.problems.arn_remedy_texts import ARN_REMEDY_TEXTS
from byok.domain.problems.key_policy_steps import BLOCKS
from byok.domain.problems.key_remedy_texts import KEY_REMEDY_TEXTS
from byok.domain.problems.platform_remedy_texts import PLATFORM_REMEDY_TEXTS
from byok.domain.problems.remedies import Block, CaseText, Page, Remedy, RemedyText, RetryText, StepText
from byok.domain.problems.remedy_context import RETRIES, RemedyContext
from byok.domain.problems.request_remedy_texts import REQUEST_REMEDY_TEXTS
from byok.domain.remediation import Remediation, RemedyCase, RemedyLink, RemedyStep, Retry, RetryValues

__all__ = ["Remedy", "RemedyContext", "build_alias_remediation", "build_arn_remediation", "build_remediation"]


REMEDY_TEXTS: Final = KEY_REMEDY_TEXTS | REQUEST_REMEDY_TEXTS | PLATFORM_REMEDY_TEXTS

_PROPAGATION: Final = "KMS usually propagates a change within seconds, but in rare cases it takes minutes."


def build_remediation(remedy: Remedy, subject: RemedyContext) -> Remediation:
    """Build a remedy."""
    return _build(REMEDY_TEXTS[remedy], subject)


def build_arn_remediation(fault: KeyArnErrorCode, subject: RemedyContext) -> Remediation:
    """Build the remedy for an ARN that violates a rule."""
    if fault is KeyArnErrorCode.NOT_AN_ARN and not (subject.key_arn or "").strip():
        fault = KeyArnErrorCode.MALFORMED  # without a key id, no command can print the key's ARN
    return _build(ARN_REMEDY_TEXTS[fault], subject)


def build_alias_remediation(
    subject: RemedyContext, alias: str, points_at: str, ask_again: str, *, within_reach: bool
) -> Remediation:
    """Build the remedy for a tenant's alias that points to the wrong key.

    Args:
        subject: The context. The context's key is the key that the alias should point to.
        alias: The alias.
        points_at: The id of the key that the alias points to now.
        ask_again: The byok command that retries the request.
        within_reach: Whether the platform can move the alias. The role in the customer's account can move an alias only
            if the alias points to one of the environment's keys.
    """
    text = _OWN_ALIAS if within_reach else _FOREIGN_ALIAS
    target = shlex.quote(subject.key_arn or "")
    subject = replace(subject, request_kind=RequestKind.TENANT)
    return _build(text, subject, alias=shlex.quote(alias), points_at=points_at, ask_again=ask_again, target=target)


_ALIAS_TITLE: Final = "The tenant's alias for the {key} points to another key"
_OWN_ALIAS: Final = RemedyText(
    _ALIAS_TITLE,
    explanation="The alias points to the environment's other key.",
    retry=RetryText(
        RetryValues.CORRECTED, "To move it to the {key} anyway, retry with --repoint.", "{ask_again} --repoint"
    ),
)
_FOREIGN_ALIAS: Final = RemedyText(
    _ALIAS_TITLE,
    (
        StepText(
            "If no other application uses the alias, move it to the {key}.",
            command="aws kms update-alias {in_account} --alias-name {alias} --target-key-id {target}",
        ),
    ),
    "The alias points to key {points_at}, which does not belong to this environment. Another application may use the "
    "alias, and the platform cannot move it.",
    RetryText(command="{ask_again}"),
)


def _build(text: RemedyText, subject: RemedyContext, **more: str) -> Remediation:
    """Build a remedy from its text. A placeholder inside a value is not expanded."""
    values = _values(subject) | more
    written = [one for item in text.steps for one in (BLOCKS[item](subject) if isinstance(item, Block) else (item,))]
    first_command = next((one for one in written if (one.command or "").startswith("aws ")), None)
    steps = [
        RemedyStep(
            text=one.text.format_map(values),
            console=one.console and one.console.format_map(values),
            actor=one.actor,
            credentials=subject.profile_hint if one is first_command else None,
            command=one.command and one.command.format_map(values),
            statement=(subject.statements_json or None) if one.statements else None,
            link=_link(one.page, subject),
            cases=tuple(_case(case, values, subject) for case in one.cases),
            script=one.script,
        )
        for one in written
    ]
    again = text.retry
    retry = RemedyStep(
        text=again.text.format_map(values),
        command=again.command and again.command.format_map(values),
        retry=Retry(request=subject.retry_request, values=again.values),
    )
    return Remediation(
        title=text.title.format_map(values), explanation=text.explanation.format_map(values), steps=(*steps, retry)
    )


def _case(text: CaseText, values: dict[str, str], subject: RemedyContext) -> RemedyCase:
    return RemedyCase(
        when=text.when.format_map(values),
        text=text.text.format_map(values),
        console=text.console and text.console.format_map(values),
        command=text.command and text.command.format_map(values),
        statement=(subject.statements_json or None) if text.statements else None,
    )


def _values(subject: RemedyContext) -> dict[str, str]:
    """Return the value of each placeholder."""
    key = subject.key.display_name if subject.key else "key"
    return {
        "key": key,
        "key_arn": subject.key_arn or f"the {key}",
        "field": subject.key.field_label if subject.key else "the key's ARN",
        "other_field": subject.key.other.field_label if subject.key else "the other key's ARN",
        "other_arn": subject.other_key_arn or "the other key's ARN",
        "region": subject.region,
        "role": subject.platform_role_arn or "the platform's role",
        "account": subject.platform_account,
        "key_account": subject.key_account,
        "organisation": subject.organisation or "the organisation",
        "advice": subject.advice,
        "in_account": subject.account_options,
        "kms": subject.kms_key_options,
        "replica": subject.replica_arn,
        "moment": _PROPAGATION,
        "longest": str(subject.vendor.tenant_name_max_length),
        "again": RETRIES[subject.request_kind][1],
    }


def _link(page: Page | None, subject: RemedyContext) -> RemedyLink | None:
    """Return the link to a console page; None if the step has no page."""
    if page is None:
        return None
    key = subject.parsed_key
    label, url = {
        Page.KEY: (
            f"Open the {subject.key.display_name if subject.key else 'key'} in the AWS KMS console",
            key and key_url(key),
        ),
        Page.KEYS: (f"Open the keys of {subject.region} in the AWS KMS console", key_list_url(subject.region)),
        Page.CREATE_KEY: ("Create a key in the AWS KMS console", create_key_url(subject.region)),
    }[page]
    return RemedyLink(label=label, url=url)
