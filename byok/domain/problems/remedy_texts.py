"""The texts of all advice, with names in braces for the values of the person who reads it.

`byok.domain.problems.remediation` fills them in.
"""

from enum import StrEnum
from typing import Final

from byok.domain.arns import KeyArnErrorCode


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
    LEFT_BEHIND = "left-behind"
    NO_FINAL_SNAPSHOT = "no-final-snapshot"
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
    ENVIRONMENT_NOT_THERE = "environment-not-there"
    NOT_THESE_KEYS = "not-these-keys"
    WAIT = "wait"
    CANCELLED = "cancelled"
    MALFORMED_REQUEST = "malformed-request"


REMEDY_TEXTS: Final[dict[Remedy, str]] = {
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
        "If the ARN is there, the key may be too new to be seen everywhere: wait a minute, and start {it} again "
        "with the same values. Otherwise start it again with the right ARN as {field}."
    ),
    Remedy.S3_KEY_POLICY: (
        "The {key} does not let the platform use it through S3, or does not exist: across accounts AWS gives the same "
        "answer for both.\n"
        "1. Compare the ARN {key_arn} with the one in the AWS KMS console of {region}. If they differ, start {it} "
        "again with the right one as {field}.\n"
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
        "be changed later. Start {it} again with the ARN of the key that the resource was made with, as "
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
        "Without a role, the owner can run the commands that `byok tenant` prints.\n{moment}\n{again}"
    ),
    Remedy.KEY_LIMIT: (
        "The {key} has as many aliases or tags as KMS allows (50 of each). Its owner removes what is no longer needed. "
        "See them ({profile}):\n  aws kms list-aliases {kms}\n  aws kms list-resource-tags {kms}\n{again}"
    ),
    Remedy.ENVIRONMENT_NOT_THERE: (
        "Nothing was written: the keys of an environment get a tenant's name once it is there. See with `byok list` "
        "which environments there are, and with `byok status` whether this one is READY; compare its id and Region.\n"
        "{again}"
    ),
    Remedy.NOT_THESE_KEYS: (
        "Nothing was written: a tenant's name goes on the keys that its environment was made with, and {key_arn} is "
        "another one. See which with `byok status`; `byok tenant` takes them from the environment by itself.\n"
        "Then start {it} again with the right ARN as {field}."
    ),
    Remedy.CANCELLED: "Nothing is wrong: somebody asked for the end. {again}",
    Remedy.MALFORMED_REQUEST: ("Nothing was made. Correct the field that is named above, and start {it} again."),
    Remedy.LEFT_BEHIND: (
        "The customer has nothing to do. The platform's operator sees to what is named above: a bucket with objects "
        "that provisioning did not write is emptied by whoever owns them.\n{again}"
    ),
    Remedy.NO_FINAL_SNAPSHOT: (
        "The final snapshot would be encrypted with {key_arn}, which the cluster cannot use any more. The owner of the "
        "key makes it usable again, if they can: see its state ({profile}):\n"
        "  aws kms describe-key {kms} --query KeyMetadata.KeyState --output text\n"
        "Without the key there can be no snapshot, and the data is gone for good (byok delete --no-final-snapshot).\n"
        "{again}"
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

ARN_REMEDY_TEXTS: Final[dict[KeyArnErrorCode, str]] = {
    KeyArnErrorCode.MALFORMED: _COPY,
    KeyArnErrorCode.NOT_AN_ARN: _COPY,
    KeyArnErrorCode.NOT_A_KEY: _COPY,
    KeyArnErrorCode.ALIAS: (
        "Give the ARN of the key that the alias points at. This prints it ({profile}):\n"
        "  aws kms describe-key {kms} --query KeyMetadata.Arn --output text\n"
        "If AWS does not find it, the alias is not one of {region}; and a key behind alias/aws/… belongs to AWS and "
        "cannot be shared. In both cases make a key of your own in {region}.\n{again_with_arn}"
    ),
    KeyArnErrorCode.OTHER_PARTITION: (
        "A key of another partition can never be used in {region}.\n{create}\n{again_with_arn}"
    ),
    KeyArnErrorCode.OTHER_REGION: (
        "If the {key} exists in {region} too, copy its ARN from the AWS KMS console of that Region. If not, make it "
        "there.\n{create}\n{again_with_arn}"
    ),
    KeyArnErrorCode.OTHER_REGION_REPLICA: (
        "Use the replica of this key in {region}. If there is one, this prints its ARN, {replica} ({profile}):\n"
        "  aws kms describe-key {in_account} --key-id {replica} --query KeyMetadata.Arn --output text\n"
        "If there is none, make it in the AWS KMS console of the primary key's Region (the key > Regionality > Create "
        "new replica keys).\nA replica has a key policy of its own. {append}\n{again_with_arn}"
    ),
    KeyArnErrorCode.PLATFORM_ACCOUNT: (
        "{account} is the platform's account: the {key} has to be in the customer's own.\n{create}\n{again_with_arn}"
    ),
    KeyArnErrorCode.SAME_KEY: "S3 and Aurora need a key each. Make a second one.\n{create}\n{again_with_arn}",
    KeyArnErrorCode.OTHER_ACCOUNT: (
        "Use the {key} of the account that the S3 key is in. If there is none, make it there.\n{create}\n"
        "{again_with_arn}"
    ),
}
