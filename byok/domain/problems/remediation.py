"""Builds remedies: instructions for fixing a problem, with the reader's values filled in.

Most readers are the customers' key administrators, who know the AWS console but are not necessarily developers. A
remedy therefore says who must act, gives every step, and ends with how to retry. The texts are in
`byok.domain.problems.remedy_texts`. `byok.domain.problems.aws_errors` decides which remedy belongs to an error.
"""

import json
import shlex
from dataclasses import dataclass, replace
from typing import Final

from byok.domain.arns import InvalidKeyArnError, KeyArnErrorCode, KeyPurpose, account_id_of_role, parse_key_arn
from byok.domain.customer_aws import DEFAULT_PROFILE
from byok.domain.iam.statements import ORGANISATION_CONDITION_KEY, build_rds_key_statements, build_s3_key_statements
from byok.domain.phases import RequestKind
from byok.domain.problems.remedy_texts import ARN_REMEDY_TEXTS, REMEDY_TEXTS, Remedy
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
        profile: The customer's AWS CLI profile.
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
        """A note that says whether a command's profile is a placeholder to replace or the customer's own profile."""
        account = "AWS CLI profile for the account that owns the key"
        if self.profile == DEFAULT_PROFILE:
            return f"replace {DEFAULT_PROFILE} with your {account}"
        return f"{self.profile} is your {account}"

    @property
    def account_options(self) -> str:
        """The AWS CLI options for the customer's account.

        If the customer did not choose a profile, the profile name is a placeholder that they replace with their own
        (contract 40).
        """
        return f"--profile {self.profile} --region {self.region}"

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
        return ",\n".join(json.dumps(statement, indent=2) for statement in rendered)

    @property
    def session_tag_hint(self) -> str:
        """The end of a list of conditions, with the session tag's required value; empty if there is no session tag."""
        organisation = self.vendor.session_organisation(self.organisation)
        return f", {ORGANISATION_CONDITION_KEY} is {organisation}" if organisation else ""

    @property
    def key_account(self) -> str:
        """The id of the account that owns this key."""
        try:
            return parse_key_arn(self.key_arn or "").account
        except InvalidKeyArnError:
            return "the account"

    @property
    def replica_arn(self) -> str:
        """The ARN of this multi-Region key's replica in the environment's Region.

        The ARNs of a multi-Region key and its replicas differ only in the Region.
        """
        try:
            return str(replace(parse_key_arn(self.key_arn or ""), region=self.region))
        except InvalidKeyArnError:
            return "the key ARN in that Region"


_RETRY: Final = {
    RequestKind.ENVIRONMENT: "Then retry with the same values: provisioning resumes where it stopped.",
    RequestKind.TENANT: "Then retry with the same values: byok skips a key that already has the name.",
    RequestKind.DELETION: "Then retry the deletion: byok skips resources that are already deleted.",
    RequestKind.HEALTH: "byok checks the environment again within five minutes, so you do not need to retry anything.",
}
_PROPAGATION: Final = "KMS usually propagates a change within seconds, but in rare cases it takes minutes."


def build_remediation(remedy: Remedy, subject: RemedyContext) -> str:
    """Build the text of a remedy, one step per line."""
    return REMEDY_TEXTS[remedy].format_map(_values(subject))


def build_arn_remediation(fault: KeyArnErrorCode, subject: RemedyContext) -> str:
    """Build the remedy for an ARN that violates a rule."""
    return ARN_REMEDY_TEXTS[fault].format_map(_values(subject))


def build_alias_remediation(
    subject: RemedyContext, alias: str, points_at: str, ask_again: str, *, within_reach: bool
) -> str:
    """Build the remedy for a tenant's alias that points to the wrong key.

    Args:
        subject: The context. The context's key is the key that the alias should point to.
        alias: The alias.
        points_at: The id of the key that the alias points to now.
        ask_again: The byok command that retries the request.
        within_reach: Whether the platform can move the alias. The role in the customer's account can move an alias only
            if the alias points to one of the environment's keys.
    """
    if within_reach:
        text = (
            "The alias points to the environment's other key. To move it to the {key} anyway:\n  {ask_again} --repoint"
        )
    else:
        text = (
            "The alias points to key {points_at}, which does not belong to this environment. Another application may "
            "use the alias, and the platform cannot move it. To move it to the {key}, the key administrator runs "
            "this ({profile}):\n"
            "  aws kms update-alias {in_account} --alias-name {alias} --target-key-id {target}\n"
            "Then retry:\n  {ask_again}"
        )
    target = shlex.quote(subject.key_arn or "")
    given = {"alias": shlex.quote(alias), "points_at": points_at, "ask_again": ask_again, "target": target}
    return text.format_map(_values(subject) | given)


def _values(subject: RemedyContext) -> dict[str, str]:
    """Return the value of each placeholder. A placeholder inside a value is not expanded."""
    key = subject.key.display_name if subject.key else "key"
    field = subject.key.field_label if subject.key else "the key's ARN"
    other_field = subject.key.other.field_label if subject.key else "the other key's ARN"
    append = _append(subject)
    create = (
        f"Create a key in {subject.region} (key type Symmetric, key usage Encrypt and decrypt), in the AWS KMS console "
        f"or with this command ({subject.profile_hint}):\n"
        f"  aws kms create-key {subject.account_options} --query KeyMetadata.Arn --output text\n{append}"
    )
    return {
        "key": key,
        "key_arn": subject.key_arn or f"the {key}",
        "field": field,
        "other_field": other_field,
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
        "append": append,
        "meant_for_other": _meant_for_other(subject),
        "create": create,
        "profile": subject.profile_hint,
        "moment": _PROPAGATION,
        "longest": str(subject.vendor.tenant_name_max_length),
        "again": _RETRY[subject.request_kind],
        "again_with_arn": f"Then retry with that ARN as {field}.",
    }


def _append(subject: RemedyContext) -> str:
    where = (
        "to the Statement array of the key policy, and leave the existing statements unchanged "
        f"(AWS KMS console of {subject.region} > Customer managed keys > the key > Key policy > Edit)"
    )
    if not subject.statements_json or subject.key is None:
        return f"Append the vendor's statements for this key {where}."
    what = "both of these statements" if subject.key is KeyPurpose.RDS else "this statement"
    return f"Append {what} {where}:\n{subject.statements_json}"


def _meant_for_other(subject: RemedyContext) -> str:
    """Return the instructions for a key whose policy has the other key's statements.

    A key policy must never have both sets of statements (contract 127).
    """
    key = subject.key
    if key is None:
        return ""
    sid = subject.vendor.s3_access_sid if key is KeyPurpose.RDS else subject.vendor.rds_grants_sid
    return (
        f"If the key policy has the statement {sid}, this key is the {key.other.display_name}: leave its policy "
        f"unchanged, and retry with the ARN of the {key.display_name} as {key.field_label}. If the policy "
        "does not have this statement:\n"
    )
