"""What to do about a problem, in words for the person who has to do it, with that person's own values filled in.

The reader is mostly the customer's key administrator, who is at home in the AWS console and need not be a developer:
every advice says who has to act, names each step, and ends with what comes next. The texts themselves are in
`byok.domain.problems.remedy_texts`, and `byok.domain.problems.aws_errors` decides which of them an error gets.
"""

import json
import shlex
from dataclasses import dataclass, replace
from typing import Final

from byok.domain.arns import InvalidKeyArnError, KeyArnErrorCode, KeyPurpose, account_id_of_role, parse_key_arn
from byok.domain.iam.statements import build_rds_key_statements, build_s3_key_statements
from byok.domain.phases import RequestKind
from byok.domain.problems.remedy_texts import ARN_REMEDY_TEXTS, REMEDY_TEXTS, Remedy
from byok.domain.vendor import VendorProfile

__all__ = ["Remedy", "RemedyContext", "build_alias_remediation", "build_arn_remediation", "build_remediation"]


@dataclass(frozen=True)
class RemedyContext:
    """Whom and what an advice is about.

    Attributes:
        key: Which key, None where no customer's key is at fault.
        key_arn: That key's ARN as it was given.
        request_kind: What was asked for: the last step of an advice is to ask for it again.
    """

    region: str
    platform_role_arn: str | None
    vendor: VendorProfile
    key: KeyPurpose | None = None
    key_arn: str | None = None
    request_kind: RequestKind = RequestKind.ENVIRONMENT

    @property
    def account_options(self) -> str:
        """What a command takes to reach the customer's account; the profile is an example to change (contract 40)."""
        return f"--profile byok --region {self.region}"

    @property
    def kms_key_options(self) -> str:
        """The tail every KMS command on this key has, quoted for a shell: it holds what a person pasted."""
        return f"{self.account_options} --key-id {shlex.quote(self.key_arn) if self.key_arn else '<key ARN>'}"

    @property
    def platform_account(self) -> str:
        """The platform's account id, or words for it where it is not known."""
        return account_id_of_role(self.platform_role_arn) if self.platform_role_arn else "the platform's account"

    @property
    def statements_json(self) -> str:
        """The statements that belong on this key, ready to paste; nothing where the platform role is not known."""
        if self.platform_role_arn is None:
            return ""
        render = build_rds_key_statements if self.key is KeyPurpose.RDS else build_s3_key_statements
        rendered = render(self.platform_role_arn, self.region, self.vendor)
        return ",\n".join(json.dumps(statement, indent=2) for statement in rendered)

    @property
    def replica_arn(self) -> str:
        """The ARN of this multi-Region key in the environment's Region: replicas differ in nothing but the Region."""
        try:
            return str(replace(parse_key_arn(self.key_arn or ""), region=self.region))
        except InvalidKeyArnError:
            return "the key ARN in that Region"


_CONTINUES: Final = {
    RequestKind.ENVIRONMENT: "it continues where it stopped",
    RequestKind.TENANT: "what is there is not written twice",
    RequestKind.DELETION: "what is gone stays gone",
}
_COMMANDS: Final = {
    RequestKind.ENVIRONMENT: "byok replay",
    RequestKind.TENANT: "byok tenant",
    RequestKind.DELETION: "byok delete",
}
_ALLOW_A_MINUTE: Final = "KMS needs a moment, in rare cases minutes, until a change is seen everywhere."
_PROFILE: Final = "byok stands for your AWS CLI profile of the account that owns the key"


def build_remediation(remedy: Remedy, subject: RemedyContext) -> str:
    """The advice, one step per line."""
    return REMEDY_TEXTS[remedy].format_map(_values(subject))


def build_arn_remediation(fault: KeyArnErrorCode, subject: RemedyContext) -> str:
    """The advice for a finding of the pure rules."""
    return ARN_REMEDY_TEXTS[fault].format_map(_values(subject))


def build_alias_remediation(
    subject: RemedyContext, alias: str, points_at: str, ask_again: str, *, within_reach: bool
) -> str:
    """The advice for a tenant's alias that points at another key than it is to.

    Args:
        subject: With the key that the alias is to point at.
        alias: The alias.
        points_at: The id of the key that it points at.
        ask_again: The command that asks for the tenant's name again.
        within_reach: Whether the platform may point it elsewhere: away from a key that is not the environment's the
            role in the customer's account cannot take it.
    """
    if within_reach:
        text = (
            "It points at the environment's other key. To point it at the {key} all the same:\n  {ask_again} --repoint"
        )
    else:
        text = (
            "It points at key {points_at}, which is not this environment's, and something else may be found by it: the "
            "platform cannot change that. If it is to point at the {key}, the owner runs this ({profile}):\n"
            "  aws kms update-alias {in_account} --alias-name {alias} --target-key-id {target}\n"
            "Then ask for the name again:\n  {ask_again}"
        )
    target = shlex.quote(subject.key_arn or "")
    given = {"alias": shlex.quote(alias), "points_at": points_at, "ask_again": ask_again, "target": target}
    return text.format_map(_values(subject) | given)


def _values(subject: RemedyContext) -> dict[str, str]:
    """What the texts are filled with. A value is put in once and never read for placeholders of its own."""
    key = subject.key.display_name if subject.key else "key"
    field = subject.key.field_label if subject.key else "the key's ARN"
    append, asked = _append(subject), subject.request_kind
    create = (
        f"Make a new key in {subject.region}, key type Symmetric, key usage Encrypt and decrypt, in the AWS KMS "
        f"console or with this command ({_PROFILE}):\n"
        f"  aws kms create-key {subject.account_options} --query KeyMetadata.Arn --output text\n{append}"
    )
    return {
        "key": key,
        "key_arn": subject.key_arn or f"the {key}",
        "field": field,
        "region": subject.region,
        "role": subject.platform_role_arn or "the platform's role",
        "account": subject.platform_account,
        "in_account": subject.account_options,
        "kms": subject.kms_key_options,
        "replica": subject.replica_arn,
        "append": append,
        "create": create,
        "profile": _PROFILE,
        "moment": _ALLOW_A_MINUTE,
        "longest": str(subject.vendor.tenant_name_max_length),
        "it": asked.value,
        "again": f"Then start {asked} again with the same values (`{_COMMANDS[asked]}`): {_CONTINUES[asked]}.",
        "again_with_arn": f"Then start {asked} again with that ARN as {field}.",
    }


def _append(subject: RemedyContext) -> str:
    where = (
        "to the Statement array of the key's policy, and leave the statements that are there as they are "
        f"(AWS KMS console of {subject.region} > Customer managed keys > the key > Key policy > Edit)"
    )
    if not subject.statements_json or subject.key is None:
        return f"Append the statements that the vendor shows for this key {where}."
    what = "both of these statements" if subject.key is KeyPurpose.RDS else "this statement"
    return f"Append {what} {where}:\n{subject.statements_json}"
