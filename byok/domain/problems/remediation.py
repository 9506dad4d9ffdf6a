"""Builds remedies: instructions for fixing a problem, with the reader's values filled in.

Most readers are the customers' key administrators, who know the AWS console but are not necessarily developers. A
remedy therefore says who must act, gives every step, and ends with how to retry. The texts are in
`key_remedy_texts`, `arn_remedy_texts` and `platform_remedy_texts`. `byok.domain.problems.aws_errors` decides which
remedy belongs to an error.
"""

import shlex
from dataclasses import dataclass, replace
from typing import Final

from byok.domain.arns import InvalidKeyArnError, KeyArn, KeyArnErrorCode, KeyPurpose, account_id_of_role, parse_key_arn
from byok.domain.aws_console import create_key_url, key_list_url, key_url
from byok.domain.customer_aws import DEFAULT_PROFILE, build_account_options
from byok.domain.iam.findings import format_statements
from byok.domain.iam.statements import ORGANISATION_CONDITION_KEY, build_rds_key_statements, build_s3_key_statements
from byok.domain.phases import RequestKind
from byok.domain.problems.arn_remedy_texts import ARN_REMEDY_TEXTS
from byok.domain.problems.key_remedy_texts import KEY_REMEDY_TEXTS
from byok.domain.problems.platform_remedy_texts import PLATFORM_REMEDY_TEXTS
from byok.domain.problems.remedies import Block, Page, Remedy, RemedyText, RetryText, StepText
from byok.domain.remediation import Remediation, RemedyLink, RemedyStep, Retry, RetryRequest, RetryValues
from byok.domain.vendor import VendorProfile

__all__ = ["Remedy", "RemedyContext", "build_alias_remediation", "build_arn_remediation", "build_remediation"]


@dataclass(frozen=True)
class RemedyContext:
    """The values to insert into a remedy.

    Attributes:
        platform_role_arn: The role to which the key policies grant access; None if the role is not known yet.
        key: The customer's key that is at fault; None if neither key is at fault.
        key_arn: The ARN of the key at fault, as the user entered it.
        request_kind: What the user requested. The last step of a remedy is to retry this request.
        profile: The customer's AWS CLI profile; empty for commands without a profile.
        other_key_arn: The ARN of the other key of the pair, as the user entered it.
        organisation: The organisation that owns the environment; None if the vendor owns it.
        advice: What to do about an exceeded quota.
    """

    region: str
    platform_role_arn: str | None
    vendor: VendorProfile
    key: KeyPurpose | None = None
    key_arn: str | None = None
    request_kind: RequestKind = RequestKind.ENVIRONMENT
    profile: str = DEFAULT_PROFILE
    other_key_arn: str | None = None
    organisation: str | None = None
    advice: str = ""

    @property
    def profile_hint(self) -> str:
        """A sentence that says with which credentials to run a command.

        A profile is either a placeholder or the customer's own profile.
        """
        if not self.profile:
            return "Run the command in the account that owns the key, for example in AWS CloudShell."
        account = "AWS CLI profile for the account that owns the key"
        if self.profile == DEFAULT_PROFILE:
            return f"In the command, replace {DEFAULT_PROFILE} with your {account}."
        return f"In the command, {self.profile} is your {account}."

    @property
    def account_options(self) -> str:
        """The AWS CLI options for the customer's account.

        If the customer did not choose a profile, the profile name is a placeholder that they replace with their own
        (contract 40).
        """
        return build_account_options(self.profile, self.region)

    @property
    def kms_key_options(self) -> str:
        """The options for a KMS command that uses this key.

        The ARN is quoted for the shell, because a user entered it.
        """
        return f"{self.account_options} --key-id {shlex.quote(self.key_arn) if self.key_arn else '<key ARN>'}"

    @property
    def platform_account(self) -> str:
        """The id of the platform's account, or the words "the platform's account" if the id is not known."""
        return account_id_of_role(self.platform_role_arn) if self.platform_role_arn else "the platform's account"

    @property
    def statements_json(self) -> str:
        """The key policy statements for this key as JSON, ready to paste; empty if the platform role is not known."""
        if self.platform_role_arn is None:
            return ""
        render = build_rds_key_statements if self.key is KeyPurpose.RDS else build_s3_key_statements
        rendered = render(self.platform_role_arn, self.region, self.vendor, self.organisation)
        return format_statements(rendered)

    @property
    def session_tag_hint(self) -> str:
        """The end of a list of conditions, with the session tag's required value; empty if there is no session tag."""
        organisation = self.vendor.session_organisation(self.organisation)
        return f", {ORGANISATION_CONDITION_KEY} is {organisation}" if organisation else ""

    @property
    def parsed_key(self) -> KeyArn | None:
        """The parts of this key's ARN; None if the ARN is not known or invalid."""
        try:
            return parse_key_arn(self.key_arn or "")
        except InvalidKeyArnError:
            return None

    @property
    def key_account(self) -> str:
        """The id of the account that owns this key."""
        return self.parsed_key.account if self.parsed_key else "the account"

    @property
    def replica_arn(self) -> str:
        """The ARN of this multi-Region key's replica in the environment's Region.

        The ARNs of a multi-Region key and its replicas differ only in the Region.
        """
        return str(replace(self.parsed_key, region=self.region)) if self.parsed_key else "the key ARN in that Region"

    @property
    def retry_request(self) -> RetryRequest:
        """What the user repeats once the problem is fixed."""
        return _RETRY[self.request_kind][0]


REMEDY_TEXTS: Final = KEY_REMEDY_TEXTS | PLATFORM_REMEDY_TEXTS

_RETRY: Final = {
    RequestKind.ENVIRONMENT: (
        RetryRequest.REPLAY,
        "Retry with the same values: provisioning resumes where it stopped.",
    ),
    RequestKind.TENANT: (
        RetryRequest.SET_TENANT_NAME,
        "Retry with the same values: byok skips a key that already has the name.",
    ),
    RequestKind.DELETION: (
        RetryRequest.DELETE,
        "Retry the deletion: byok skips resources that are already deleted.",
    ),
    RequestKind.HEALTH: (
        RetryRequest.NONE,
        "You do not need to retry anything: byok checks the environment again within five minutes.",
    ),
}
_PROPAGATION: Final = "KMS usually propagates a change within seconds, but in rare cases it takes minutes."


def build_remediation(remedy: Remedy, subject: RemedyContext) -> Remediation:
    """Build a remedy."""
    return _build(REMEDY_TEXTS[remedy], subject)


def build_arn_remediation(fault: KeyArnErrorCode, subject: RemedyContext) -> Remediation:
    """Build the remedy for an ARN that violates a rule."""
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
            "If no other application uses the alias, the key administrator moves it to the {key}.",
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
    written = [one for item in text.steps for one in (_BLOCKS[item](subject) if isinstance(item, Block) else (item,))]
    first_command = next((one for one in written if (one.command or "").startswith("aws ")), None)
    steps = [
        RemedyStep(
            text=one.text.format_map(values) + (f" {subject.profile_hint}" if one is first_command else ""),
            command=one.command and one.command.format_map(values),
            statement=(subject.statements_json or None) if one.statements else None,
            link=_link(one.page, subject),
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
        "session_tag": subject.session_tag_hint,
        "in_account": subject.account_options,
        "kms": subject.kms_key_options,
        "replica": subject.replica_arn,
        "moment": _PROPAGATION,
        "longest": str(subject.vendor.tenant_name_max_length),
        "again": _RETRY[subject.request_kind][1],
    }


def _link(page: Page | None, subject: RemedyContext) -> RemedyLink | None:
    """Return the link to a console page; None if the step has no page, or the page's address is not known."""
    key = subject.parsed_key
    label, url = {
        None: ("", None),
        Page.KEY: (
            f"Open the {subject.key.display_name if subject.key else 'key'} in the AWS KMS console",
            key and key_url(key),
        ),
        Page.KEYS: (f"Open the keys of {subject.region} in the AWS KMS console", key_list_url(subject.region)),
        Page.CREATE_KEY: ("Create a key in the AWS KMS console", create_key_url(subject.region)),
    }[page]
    return RemedyLink(label=label, url=url) if url else None


def _append_statements(
    subject: RemedyContext, *, new_key: bool = True, otherwise: bool = False
) -> tuple[StepText, ...]:
    """Return the step that appends the statements for this key to its policy."""
    what = "the vendor's statements for this key"
    if subject.statements_json and subject.key is not None:
        what = "both of these statements" if subject.key is KeyPurpose.RDS else "this statement"
    start = "Otherwise, the" if otherwise else "The"
    text = (
        f"{start} key administrator appends {what} to the Statement array of the key policy, and leaves the existing "
        "statements unchanged (AWS KMS console of {region} > Customer managed keys > the key > Key policy > Edit). "
        "{moment}"
    )
    return (StepText(text, page=Page.KEYS if new_key else Page.KEY, statements=subject.key is not None),)


def _create_key(subject: RemedyContext) -> tuple[StepText, ...]:
    """Return the steps that create a key for the environment."""
    create = StepText(
        "The key administrator creates a key in {region} (key type Symmetric, key usage Encrypt and decrypt), in the "
        "AWS KMS console or with this command.",
        command="aws kms create-key {in_account} --query KeyMetadata.Arn --output text",
        page=Page.CREATE_KEY,
    )
    return create, *_append_statements(subject)


def _change_policy(subject: RemedyContext) -> tuple[StepText, ...]:
    """Return the steps for a key whose policy may lack the statements for this key.

    A key policy must never have both keys' statements (contract 127), so the first step recognises the other key.
    """
    key = subject.key
    if key is None:
        return _append_statements(subject, new_key=False)
    sid = subject.vendor.s3_access_sid if key is KeyPurpose.RDS else subject.vendor.rds_grants_sid
    other = StepText(
        f"If the key policy has the statement {sid}, this key is the {key.other.display_name}: leave its policy "
        f"unchanged, and retry with the ARN of the {key.display_name} as {key.field_label}."
    )
    return other, *_append_statements(subject, new_key=False, otherwise=True)


_BLOCKS: Final = {
    Block.CHANGE_POLICY: _change_policy,
    Block.CREATE_KEY: _create_key,
    Block.APPEND_STATEMENTS: _append_statements,
}
