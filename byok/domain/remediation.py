"""What to do about a problem, in words for the person who has to do it, with that person's own values filled in."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from byok.domain.arns import ArnFault, WhichKey, account_of
from byok.domain.policies import rds_key_statements, s3_key_statements
from byok.domain.vendor import VendorProfile


class Remedy(StrEnum):
    """The advice there is. Every row of the problem table names one."""

    ENABLE_KEY = "enable-key"
    CANCEL_DELETION = "cancel-deletion"
    IMPORT_MATERIAL = "import-material"
    KEY_STATE = "key-state"
    SYMMETRIC_KEY = "symmetric-key"
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
    WAIT = "wait"
    CANCELLED = "cancelled"


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
    def kms(self) -> str:
        """The tail every KMS command on this key has; the profile is an example the customer changes (contract 40)."""
        return f"--profile byok --region {self.region} --key-id {self.key_arn}"

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


_AGAIN: Final = "Then start the environment again with the same values: it continues where it stopped."
_ALLOW_A_MINUTE: Final = "KMS needs a moment, in rare cases minutes, until a change is seen everywhere."


def remediation(remedy: Remedy, subject: Subject) -> str:
    """The advice, one step per line."""
    return _TEXTS[remedy].format(
        key=_name(subject.key),
        other_key=_name(WhichKey.RDS if subject.key is WhichKey.S3 else WhichKey.S3),
        key_arn=subject.key_arn,
        region=subject.region,
        role=subject.platform_role_arn,
        account=subject.platform_account,
        kms=subject.kms,
        statements=subject.statements,
        again=_AGAIN,
        moment=_ALLOW_A_MINUTE,
    )


def arn_remediation(fault: ArnFault, subject: Subject) -> str:
    """The advice for a finding of the pure rules."""
    which = subject.key or WhichKey.S3
    return _ARN_TEXTS[fault].format(
        field=which.label,
        key=_name(which),
        region=subject.region,
        account=subject.platform_account,
        key_arn=subject.key_arn,
    )


def _name(key: WhichKey | None) -> str:
    return {WhichKey.S3: "S3 key", WhichKey.RDS: "Aurora key", None: "key"}[key]


_TEXTS: Final[dict[Remedy, str]] = {
    Remedy.ENABLE_KEY: "Enable the {key}:\n  aws kms enable-key {kms}\n{again}",
    Remedy.CANCEL_DELETION: (
        "The {key} is waiting to be deleted. Cancel the deletion and enable the key, while the waiting period lasts:\n"
        "  aws kms cancel-key-deletion {kms}\n  aws kms enable-key {kms}\n{again}"
    ),
    Remedy.IMPORT_MATERIAL: (
        'The {key} has no key material yet. Import it (AWS KMS developer guide, "Importing key material"), and check '
        "that the key state is Enabled:\n  aws kms describe-key {kms}\n{again}"
    ),
    Remedy.KEY_STATE: (
        "The {key} is in a state in which it cannot be used. See which one, and bring it to Enabled:\n"
        "  aws kms describe-key {kms}\nA key in a custom key store needs that store connected.\n{again}"
    ),
    Remedy.SYMMETRIC_KEY: (
        "{key_arn} is not a symmetric key for encryption and decryption, and the usage of a key cannot be changed. "
        "Make a new {key} in {region} with key type Symmetric and usage Encrypt and decrypt, append the statements "
        "below to its policy, and start the environment with the new ARN.\n{statements}"
    ),
    Remedy.CHECK_ARN: (
        "AWS does not find {key_arn}. Compare it with the key's ARN in the KMS console of {region}, or print it:\n"
        "  aws kms describe-key {kms} --query KeyMetadata.Arn --output text\n"
        "If the key was made a moment ago, wait a minute and start again; otherwise start with the right ARN."
    ),
    Remedy.S3_KEY_POLICY: (
        "The {key} does not let the platform use it through S3. Append this statement to the Statement array of the "
        "policy of {key_arn}, and leave the statements that are there as they are:\n{statements}\n"
        "If the statement is there, check in it: the principal is {role}, kms:ViaService is "
        "s3.{region}.amazonaws.com, aws:PrincipalAccount is {account}, and no other statement has Effect Deny for it. "
        "If the key does not exist, correct the ARN: AWS gives the same answer for both. {moment}\n{again}"
    ),
    Remedy.RDS_KEY: (
        "RDS gives one answer for every reason why a key cannot be used. Check these in turn for the {key}:\n"
        "1. It exists in {region}, is enabled, is symmetric, and is not waiting for deletion or for key material:\n"
        "  aws kms describe-key {kms}\n"
        "  aws kms enable-key {kms}\n"
        "2. Its policy holds both of these statements, with exactly these values:\n{statements}\n"
        "3. No statement with Effect Deny applies to {role}.\n{moment}\n{again}"
    ),
    Remedy.CLUSTER_LOST_KEY: (
        "The cluster can no longer use the {key}. Enable the key, and cancel its deletion if that is scheduled:\n"
        "  aws kms describe-key {kms}\n  aws kms enable-key {kms}\n"
        "Then have the platform start the cluster again, within 7 days of its loss:\n"
        "  aws rds start-db-cluster --region {region} --db-cluster-identifier <cluster>\n{again}"
    ),
    Remedy.KEY_IN_USE: (
        "Every environment has its own pair of keys. Make a new {key} in {region} for this environment, or delete the "
        "environment that uses {key_arn}."
    ),
    Remedy.PLATFORM_KEY: (
        "It is not the customer's key that was refused but a key of the platform's account {account}: the one for the "
        "managed master secret or a default key of AWS. The platform's operator has to allow {role} to use that key."
    ),
    Remedy.PLATFORM_PERMISSION: (
        "The customer has nothing to do. The platform's operator has to allow {role} this operation, in its IAM policy "
        "and in the organisation's service control policies.\n{again}"
    ),
    Remedy.PLATFORM_CREDENTIALS: (
        "The customer has nothing to do. The worker's AWS credentials are not accepted: `byok doctor` shows who it is "
        "in AWS and what is missing.\n{again}"
    ),
    Remedy.PLATFORM_OPERATOR: (
        "The customer has nothing to do. The platform's operator has to see to what AWS says above; with the request "
        "id AWS's support can look it up.\n{again}"
    ),
    Remedy.NAME_TAKEN: (
        "Something that is not this environment's bears the name it needs, and is left untouched. The platform's "
        "operator has to remove or rename it, or choose another environment id.\n{again}"
    ),
    Remedy.OTHER_KEY: (
        "A resource of this environment is encrypted with another key than {key_arn}, and a key cannot be changed "
        "later. Start with the key it was made with, or remove the resource first."
    ),
    Remedy.UNPROVED: (
        "What AWS reports is not what was asked for, so the environment is not handed over. The platform's operator "
        "has to find out who changed it, and set it right or remove it.\n{again}"
    ),
    Remedy.QUOTA: (
        "The customer has nothing to do. The platform's account {account} has reached a quota in {region}: its "
        "operator has to have it raised, or to remove what is no longer used.\n{again}"
    ),
    Remedy.CANCELLED: "Nothing is wrong. {again}",
    Remedy.WAIT: "AWS asks to try later, and did so for too long. See whether {region} has an outage.\n{again}",
}

_ARN_TEXTS: Final[dict[ArnFault, str]] = {
    ArnFault.MALFORMED: "Copy the {key}'s full ARN from the KMS console of {region} and paste it as {field}.",
    ArnFault.NOT_AN_ARN: "Copy the {key}'s full ARN from the KMS console of {region} and paste it as {field}.",
    ArnFault.ALIAS: (
        "Give the ARN of the key that the alias points at:\n  aws kms describe-key --profile byok --region {region} "
        "--key-id {key_arn} --query KeyMetadata.Arn --output text"
    ),
    ArnFault.NOT_A_KEY: "Paste the ARN of a KMS key as {field}: arn:…:kms:{region}:<account>:key/<key id>.",
    ArnFault.OTHER_PARTITION: "Make the {key} in {region}: a key of another partition can never be used there.",
    ArnFault.OTHER_REGION: "Make a {key} in {region} and paste its ARN as {field}.",
    ArnFault.OTHER_REGION_REPLICA: (
        "Use the replica of this key in {region}; if there is none, make one and give it its own key policy:\n"
        "  aws kms replicate-key --profile byok --key-id {key_arn} --replica-region {region}"
    ),
    ArnFault.PLATFORM_ACCOUNT: "Make the {key} in the customer's own account: {account} is the platform's.",
    ArnFault.SAME_KEY: "Make a second key and paste its ARN as {field}: S3 and Aurora need a key each.",
    ArnFault.OTHER_ACCOUNT: "Paste the ARN of a {key} that is in the same account as the S3 key.",
}
