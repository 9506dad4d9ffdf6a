"""What to do about a problem, in words for the person who has to do it, with that person's own values filled in.

The reader is mostly the customer's key administrator, who is at home in the AWS console and need not be a developer:
every advice says who has to act, names each step, and ends with what comes next. Which advice belongs to which error is
decided in `byok.domain.errors`.
"""

import json
import shlex
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from byok.domain.arns import ArnError, ArnFault, WhichKey, account_of, parse_key_arn
from byok.domain.policies import rds_key_statements, s3_key_statements
from byok.domain.vendor import VendorProfile


class Remedy(StrEnum):
    """The advice there is. Every row of the problem table names one."""

    ENABLE_KEY = "enable-key"
    CANCEL_DELETION = "cancel-deletion"
    IMPORT_MATERIAL = "import-material"
    KEY_STATE = "key-state"
    SYMMETRIC_KEY = "symmetric-key"
    OWN_KEY = "own-key"
    CHECK_ARN = "check-arn"
    S3_KEY_POLICY = "s3-key-policy"
    RDS_KEY = "rds-key"
    CLUSTER_LOST_KEY = "cluster-lost-key"
    KEY_IN_USE = "key-in-use"
    PLATFORM_KEY = "platform-key"
    PLATFORM_PERMISSION = "platform-permission"
    PLATFORM_CREDENTIALS = "platform-credentials"
    PLATFORM_OPERATOR = "platform-operator"
    NAME_TAKEN = "name-taken"
    OTHER_KEY = "other-key"
    UNPROVED = "unproved"
    QUOTA = "quota"
    TENANT_NAME = "tenant-name"
    TENANT_ROLE = "tenant-role"
    KEY_LIMIT = "key-limit"
    WAIT = "wait"
    CANCELLED = "cancelled"
    MALFORMED_REQUEST = "malformed-request"


@dataclass(frozen=True)
class Subject:
    """Whom and what an advice is about.

    Attributes:
        key: Which key, None where no customer's key is at fault.
        key_arn: That key's ARN as it was given.
    """

    region: str
    platform_role_arn: str | None
    vendor: VendorProfile
    key: WhichKey | None = None
    key_arn: str | None = None

    @property
    def account_options(self) -> str:
        """What a command takes to reach the customer's account; the profile is an example to change (contract 40)."""
        return f"--profile byok --region {self.region}"

    @property
    def kms(self) -> str:
        """The tail every KMS command on this key has, quoted for a shell: it holds what a person pasted."""
        return f"{self.account_options} --key-id {shlex.quote(self.key_arn) if self.key_arn else '<key ARN>'}"

    @property
    def platform_account(self) -> str:
        """The platform's account id, or words for it where it is not known."""
        return account_of(self.platform_role_arn) if self.platform_role_arn else "the platform's account"

    @property
    def statements(self) -> str:
        """The statements that belong on this key, ready to paste; nothing where the platform role is not known."""
        if self.platform_role_arn is None:
            return ""
        render = rds_key_statements if self.key is WhichKey.RDS else s3_key_statements
        rendered = render(self.platform_role_arn, self.region, self.vendor)
        return ",\n".join(json.dumps(statement, indent=2) for statement in rendered)

    @property
    def replica_arn(self) -> str:
        """The ARN of this multi-Region key in the environment's Region: replicas differ in nothing but the Region."""
        try:
            return str(replace(parse_key_arn(self.key_arn or ""), region=self.region))
        except ArnError:
            return "the key ARN in that Region"


_AGAIN: Final = "Then start the environment again with the same values: it continues where it stopped."
_NAME_AGAIN: Final = "Then start the tenant's name again with the same values: what is there is not written twice."
_ALLOW_A_MINUTE: Final = "KMS needs a moment, in rare cases minutes, until a change is seen everywhere."
_PROFILE: Final = "byok stands for your AWS CLI profile of the account that owns the key"


def remediation(remedy: Remedy, subject: Subject) -> str:
    """The advice, one step per line."""
    return _TEXTS[remedy].format_map(_values(subject))


def arn_remediation(fault: ArnFault, subject: Subject) -> str:
    """The advice for a finding of the pure rules."""
    return _ARN_TEXTS[fault].format_map(_values(subject))


def _values(subject: Subject) -> dict[str, str]:
    """What the texts are filled with. A value is put in once and never read for placeholders of its own."""
    key = subject.key.key_name if subject.key else "key"
    field = subject.key.label if subject.key else "the key's ARN"
    append = _append(subject)
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
        "kms": subject.kms,
        "replica": subject.replica_arn,
        "append": append,
        "create": create,
        "profile": _PROFILE,
        "moment": _ALLOW_A_MINUTE,
        "longest": str(subject.vendor.tenant_name_max),
        "again": _AGAIN,
        "name_again": _NAME_AGAIN,
        "again_with_arn": f"Then start the environment again with that ARN as {field}.",
    }


def _append(subject: Subject) -> str:
    where = (
        "to the Statement array of the key's policy, and leave the statements that are there as they are "
        f"(AWS KMS console of {subject.region} > Customer managed keys > the key > Key policy > Edit)"
    )
    if not subject.statements or subject.key is None:
        return f"Append the statements that the vendor shows for this key {where}."
    what = "both of these statements" if subject.key is WhichKey.RDS else "this statement"
    return f"Append {what} {where}:\n{subject.statements}"


_TEXTS: Final[dict[Remedy, str]] = {
    Remedy.ENABLE_KEY: "The {key} is disabled. Enable it ({profile}):\n  aws kms enable-key {kms}\n{again}",
    Remedy.CANCEL_DELETION: (
        "The {key} is waiting to be deleted. While the waiting period lasts, cancel the deletion; the key is disabled "
        "after that, so enable it as well ({profile}):\n"
        "  aws kms cancel-key-deletion {kms}\n  aws kms enable-key {kms}\n{again}"
    ),
    Remedy.IMPORT_MATERIAL: (
        'The {key} has no key material yet. Import it (AWS KMS developer guide, "Importing key material"). The key can '
        "be used when its state is Enabled ({profile}):\n"
        "  aws kms describe-key {kms} --query KeyMetadata.KeyState --output text\n{again}"
    ),
    Remedy.KEY_STATE: (
        "The {key} is in a state in which it cannot be used. See which one ({profile}):\n"
        "  aws kms describe-key {kms} --query KeyMetadata.KeyState --output text\n"
        "Creating and Updating pass by themselves; Unavailable means that the key's custom key store has to be "
        "connected. The key can be used when the state is Enabled.\n{again}"
    ),
    Remedy.SYMMETRIC_KEY: (
        "{key_arn} is not a symmetric key for encryption and decryption, and the type and usage of a key cannot be "
        "changed.\n{create}\n{again_with_arn}"
    ),
    Remedy.OWN_KEY: (
        "A key that AWS makes and manages cannot be shared with the platform: nobody but AWS can change its policy. "
        "The {key} has to be one that you make yourself.\n{create}\n{again_with_arn}"
    ),
    Remedy.CHECK_ARN: (
        "AWS does not find {key_arn}. Print the ARNs of all keys in {region}, and compare ({profile}):\n"
        '  aws kms list-keys {in_account} --query "Keys[].KeyArn" --output text\n'
        "If the ARN is there, the key may be too new to be seen everywhere: wait a minute, and start the environment "
        "again with the same values. Otherwise start it again with the right ARN as {field}."
    ),
    Remedy.S3_KEY_POLICY: (
        "The {key} does not let the platform use it through S3, or does not exist: across accounts AWS gives the same "
        "answer for both.\n"
        "1. Compare the ARN {key_arn} with the one in the AWS KMS console of {region}. If they differ, start the "
        "environment again with the right one as {field}.\n"
        "2. {append}\n"
        "3. If the statement is there already, compare every value in it: the principal is {role}, kms:ViaService is "
        "s3.{region}.amazonaws.com, aws:PrincipalAccount is {account}. No other statement of the policy may have "
        "Effect Deny for this principal.\n"
        "If AWS's message speaks of an identity-based policy or a service control policy, it is the platform's "
        "operator who has to allow {role} to use KMS.\n{moment}\n{again}"
    ),
    Remedy.RDS_KEY: (
        "RDS gives one answer for every reason why it cannot use the {key}. Check these in turn:\n"
        "1. The key exists in {region}, and this prints Enabled, SYMMETRIC_DEFAULT and ENCRYPT_DECRYPT ({profile}):\n"
        '  aws kms describe-key {kms} --query "KeyMetadata.[KeyState,KeySpec,KeyUsage]" --output text\n'
        "   If it prints Disabled, enable the key. If it prints PendingDeletion, cancel the deletion first:\n"
        "  aws kms cancel-key-deletion {kms}\n"
        "  aws kms enable-key {kms}\n"
        "   If the key is not found or is of another kind, a key that fits has to be given as {field}.\n"
        "2. {append}\n"
        "3. If the statements are there already, check that every value in them is exactly as above, and that no other "
        "statement of the policy has Effect Deny for {role}.\n{moment}\n{again}"
    ),
    Remedy.CLUSTER_LOST_KEY: (
        "The cluster was made and can no longer use the {key}.\n"
        "1. The key's administrator cancels the deletion if one is scheduled, and enables the key ({profile}):\n"
        "  aws kms cancel-key-deletion {kms}\n"
        "  aws kms enable-key {kms}\n"
        "2. If the status above ends in -recoverable, the platform's operator starts the cluster again (RDS, "
        "StartDBCluster) within 7 days of the loss. Without that ending, the cluster cannot be started any more: the "
        "operator has to remove it.\n{again}"
    ),
    Remedy.KEY_IN_USE: (
        "Every environment has its own pair of keys, and another one uses {key_arn}. Make a new {key} for this "
        "environment.\n{create}\n{again_with_arn}"
    ),
    Remedy.PLATFORM_KEY: (
        "The customer has nothing to do: it is not the customer's key that was refused but one of the platform's "
        "account {account}, for the managed master secret or as a default of AWS. The platform's operator has to allow "
        "{role} to use that key.\n{again}"
    ),
    Remedy.PLATFORM_PERMISSION: (
        "The customer has nothing to do. The platform's operator has to allow {role} this operation, in its IAM policy "
        "and in the organisation's service control policies.\n{again}"
    ),
    Remedy.PLATFORM_CREDENTIALS: (
        "The customer has nothing to do. The worker's AWS credentials are not accepted: the platform's operator sees "
        "with `byok doctor` who the worker is in AWS and what is missing.\n{again}"
    ),
    Remedy.PLATFORM_OPERATOR: (
        "The customer has nothing to do. The platform's operator has to see to what AWS says above; with the request "
        "id AWS's support can look it up.\n{again}"
    ),
    Remedy.NAME_TAKEN: (
        "The customer has nothing to do. Something that is not this environment's bears the name it needs, and is left "
        "untouched: the platform's operator has to remove or rename it, or choose another environment id.\n{again}"
    ),
    Remedy.OTHER_KEY: (
        "A resource of this environment is encrypted with another key than {key_arn}, and the key of a resource cannot "
        "be changed later. Start the environment again with the ARN of the key that the resource was made with, as "
        "{field}; or have the platform's operator remove the resource first, and then start again with the same values."
    ),
    Remedy.UNPROVED: (
        "The customer has nothing to do. What AWS reports is not what was asked for, so the environment is not handed "
        "over: the platform's operator has to find out who changed it, and set it right or remove it.\n{again}"
    ),
    Remedy.QUOTA: (
        "The customer has nothing to do. The platform's account {account} has reached a quota in {region}: its "
        "operator has to have it raised, or to remove what is no longer used.\n{again}"
    ),
    Remedy.TENANT_NAME: (
        "Choose a tenant's name of letters, digits, hyphens and underscores, at most {longest} characters long, and "
        "start again with it. Nothing was changed."
    ),
    Remedy.TENANT_ROLE: (
        "The optional role in the customer's account cannot be taken on, or may not do this. The owner of the keys "
        "compares it with the template that `byok template tenant-role` prints: its trust policy names {role} and the "
        "same external id, its permissions name both key ARNs, and the policies of both keys have AWS's own statement. "
        "Without a role, the owner can run the commands that `byok tenant` prints.\n{moment}\n{name_again}"
    ),
    Remedy.KEY_LIMIT: (
        "The {key} has as many aliases or tags as KMS allows (50 of each). Its owner removes what is no longer needed. "
        "See them ({profile}):\n  aws kms list-aliases {kms}\n  aws kms list-resource-tags {kms}\n{name_again}"
    ),
    Remedy.CANCELLED: "Nothing is wrong: somebody asked for the end. {again}",
    Remedy.MALFORMED_REQUEST: (
        "Nothing was made. Correct the field that is named above, and start the environment again."
    ),
    Remedy.WAIT: (
        "The customer has nothing to do. AWS was busy, out of reach or not finished for longer than is waited here: "
        "see in the AWS Health Dashboard whether {region} has an outage.\n{again}"
    ),
}

_COPY: Final = (
    "Copy the {key}'s full ARN from the AWS KMS console of {region} (Customer managed keys > the key > ARN), or print "
    "the ARNs of all keys there ({profile}):\n"
    '  aws kms list-keys {in_account} --query "Keys[].KeyArn" --output text\n{again_with_arn}'
)

_ARN_TEXTS: Final[dict[ArnFault, str]] = {
    ArnFault.MALFORMED: _COPY,
    ArnFault.NOT_AN_ARN: _COPY,
    ArnFault.NOT_A_KEY: _COPY,
    ArnFault.ALIAS: (
        "Give the ARN of the key that the alias points at. This prints it ({profile}):\n"
        "  aws kms describe-key {kms} --query KeyMetadata.Arn --output text\n"
        "If AWS does not find it, the alias is not one of {region}; and a key behind alias/aws/… belongs to AWS and "
        "cannot be shared. In both cases make a key of your own in {region}.\n{again_with_arn}"
    ),
    ArnFault.OTHER_PARTITION: ("A key of another partition can never be used in {region}.\n{create}\n{again_with_arn}"),
    ArnFault.OTHER_REGION: (
        "If the {key} exists in {region} too, copy its ARN from the AWS KMS console of that Region. If not, make it "
        "there.\n{create}\n{again_with_arn}"
    ),
    ArnFault.OTHER_REGION_REPLICA: (
        "Use the replica of this key in {region}. If there is one, this prints its ARN, {replica} ({profile}):\n"
        "  aws kms describe-key {in_account} --key-id {replica} --query KeyMetadata.Arn --output text\n"
        "If there is none, make it in the AWS KMS console of the primary key's Region (the key > Regionality > Create "
        "new replica keys).\nA replica has a key policy of its own. {append}\n{again_with_arn}"
    ),
    ArnFault.PLATFORM_ACCOUNT: (
        "{account} is the platform's account: the {key} has to be in the customer's own.\n{create}\n{again_with_arn}"
    ),
    ArnFault.SAME_KEY: "S3 and Aurora need a key each. Make a second one.\n{create}\n{again_with_arn}",
    ArnFault.OTHER_ACCOUNT: (
        "Use the {key} of the account that the S3 key is in. If there is none, make it there.\n{create}\n"
        "{again_with_arn}"
    ),
}
