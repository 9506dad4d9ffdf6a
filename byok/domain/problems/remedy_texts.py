"""The text of every remedy, with placeholders in braces.

`byok.domain.problems.remediation` replaces the placeholders with the reader's values. The texts do not say which
command retries a request: the CLI, the wizard and Temporal's UI each add their own instructions.
"""

from enum import StrEnum
from typing import Final

from byok.domain.arns import KeyArnErrorCode


class Remedy(StrEnum):
    """A remedy for a problem. Every `ErrorRule` has a remedy."""

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
    READY_CLUSTER_LOST_KEY = "ready-cluster-lost-key"
    DRIFT = "drift"
    KEY_IN_USE = "key-in-use"
    ACCOUNT_NOT_REGISTERED = "account-not-registered"
    ACCOUNT_OF_ANOTHER_ORGANISATION = "account-of-another-organisation"
    KEYS_EXCHANGED = "keys-exchanged"
    REGION_NOT_IN_USE = "region-not-in-use"
    DIFFERS_FROM_AWS = "differs-from-aws"
    FOREIGN_OBJECTS = "foreign-objects"
    LEFT_BEHIND = "left-behind"
    NO_FINAL_SNAPSHOT = "no-final-snapshot"
    PLATFORM_KEY = "platform-key"
    PLATFORM_MANAGED_KEY = "platform-managed-key"
    ENCRYPTION_CANNOT_CHANGE = "encryption-cannot-change"
    PLATFORM_PERMISSION = "platform-permission"
    PLATFORM_CREDENTIALS = "platform-credentials"
    PLATFORM_SESSION = "platform-session"
    PLATFORM_OPERATOR = "platform-operator"
    NAME_TAKEN = "name-taken"
    ID_IN_USE = "id-in-use"
    OTHER_OWNER = "other-owner"
    BUCKET_OF_ANOTHER_ACCOUNT = "bucket-of-another-account"
    OTHER_KEY = "other-key"
    UNPROVED = "unproved"
    QUOTA = "quota"
    ORGANISATION_QUOTA = "organisation-quota"
    TENANT_NAME = "tenant-name"
    TENANT_ROLE = "tenant-role"
    KEY_LIMIT = "key-limit"
    ENVIRONMENT_NOT_THERE = "environment-not-there"
    NOT_THESE_KEYS = "not-these-keys"
    WAIT = "wait"
    HELD_TOO_LONG = "held-too-long"
    CANCELLED = "cancelled"
    MALFORMED_REQUEST = "malformed-request"


REMEDY_TEXTS: Final[dict[Remedy, str]] = {
    Remedy.ENABLE_KEY: "The {key} is disabled. Enable it ({profile}):\n  aws kms enable-key {kms}\n{again}",
    Remedy.CANCEL_DELETION: (
        "The {key} is scheduled for deletion. Cancel the deletion before its waiting period ends. KMS leaves the key "
        "disabled after that, so enable it as well ({profile}):\n"
        "  aws kms cancel-key-deletion {kms}\n  aws kms enable-key {kms}\n{again}"
    ),
    Remedy.IMPORT_MATERIAL: (
        'The {key} has no key material yet. Import it (AWS KMS developer guide, "Importing key material"). You can use '
        "the key once this command prints Enabled ({profile}):\n"
        "  aws kms describe-key {kms} --query KeyMetadata.KeyState --output text\n{again}"
    ),
    Remedy.KEY_STATE: (
        "The {key} cannot be used in its current state. Print the state ({profile}):\n"
        "  aws kms describe-key {kms} --query KeyMetadata.KeyState --output text\n"
        "The states Creating and Updating end on their own. Unavailable means that you must connect the key's custom "
        "key store. You can use the key once its state is Enabled.\n{again}"
    ),
    Remedy.SYMMETRIC_KEY: (
        "{key_arn} is not a symmetric encryption key (SYMMETRIC_DEFAULT, ENCRYPT_DECRYPT). The type and usage of a KMS "
        "key cannot be changed.\n{create}\n{again_with_arn}"
    ),
    Remedy.OWN_KEY: (
        "An AWS managed key cannot be shared with the platform, because only AWS can change its policy. The {key} must "
        "be a customer managed key.\n{create}\n{again_with_arn}"
    ),
    Remedy.CHECK_ARN: (
        "AWS cannot find {key_arn}. List the ARNs of all keys in {region} and compare them with this ARN ({profile}):\n"
        '  aws kms list-keys {in_account} --query "Keys[].KeyArn" --output text\n'
        "If the ARN is in the list, the new key may not have propagated yet: wait a minute, then retry with the same "
        "values. If the ARN is not in the list, retry with the correct ARN as {field}."
    ),
    Remedy.S3_KEY_POLICY: (
        "Either the policy of the {key} does not let the platform use the key through S3, or the key does not exist. "
        "For a key in another account, AWS returns the same error in both cases.\n"
        "1. Compare {key_arn} with the ARN in the AWS KMS console of {region}. If they differ, retry with the correct "
        "ARN as {field}.\n"
        "2. {meant_for_other}{append}\n"
        "3. If the statement is already there, compare every value in it: the principal is {role}, kms:ViaService is "
        "s3.{region}.amazonaws.com, aws:PrincipalAccount is {account}{session_tag}. A condition on "
        "kms:EncryptionContext:aws:s3:arn must allow every bucket of the platform, with and without the object's name. "
        "No other statement of the policy may have Effect Deny for this principal.\n"
        "If AWS's message mentions an identity-based policy or a service control policy, the platform's operator must "
        "allow {role} to use KMS.\n{moment}\n{again}"
    ),
    Remedy.RDS_KEY: (
        "RDS returns the same error for every reason why it cannot use the {key}. Check these points in order:\n"
        "1. The key exists in {region}, and this command prints Enabled, SYMMETRIC_DEFAULT and ENCRYPT_DECRYPT "
        "({profile}):\n"
        '  aws kms describe-key {kms} --query "KeyMetadata.[KeyState,KeySpec,KeyUsage]" --output text\n'
        "   If it prints Disabled, enable the key. If it prints PendingDeletion, cancel the deletion first:\n"
        "  aws kms cancel-key-deletion {kms}\n"
        "  aws kms enable-key {kms}\n"
        "   If AWS cannot find the key, or prints other values, provide another key as {field}.\n"
        "2. {meant_for_other}{append}\n"
        "3. If the statements are already there, check that every value matches the statements above, and that no "
        "other statement of the policy has Effect Deny for {role}.\n{moment}\n{again}"
    ),
    Remedy.CLUSTER_LOST_KEY: (
        "The cluster exists, but it can no longer use the {key}.\n"
        "1. The key administrator cancels the key's deletion, if one is scheduled, and enables the key ({profile}):\n"
        "  aws kms cancel-key-deletion {kms}\n"
        "  aws kms enable-key {kms}\n"
        "2. If the cluster's status above ends in -recoverable, the platform's operator starts the cluster (RDS, "
        "StartDBCluster) within 7 days after the cluster lost the key. If the status does not end in -recoverable, "
        "the cluster cannot be started again, and the operator must delete it.\n{again}"
    ),
    Remedy.READY_CLUSTER_LOST_KEY: (
        "The database is down, because the cluster can no longer use the {key}.\n"
        "1. The key administrator cancels the key's deletion, if one is scheduled, and enables the key ({profile}):\n"
        "  aws kms cancel-key-deletion {kms}\n"
        "  aws kms enable-key {kms}\n"
        "2. If the cluster's status above ends in -recoverable, byok tries to start the cluster every few minutes, and "
        "succeeds once the key is usable. Aurora keeps the cluster recoverable for 7 days after it lost the key. If "
        "the vendor has turned this off, the platform's operator starts the cluster (RDS, StartDBCluster).\n"
        "3. If the status does not end in -recoverable, the cluster cannot be started again. The platform's operator "
        "restores a snapshot, which also needs the key.\n{again}"
    ),
    Remedy.DRIFT: (
        "The customer does not need to do anything, because the keys work. Someone with access to the platform's "
        "account {account} changed or deleted the resource above; CloudTrail shows who. The platform's operator "
        "restores the resource or its setting.\n{again}"
    ),
    Remedy.KEY_IN_USE: (
        "{key_arn} is already used by another environment; each environment needs its own pair of keys. Create a new "
        "{key} for this environment.\n{create}\n{again_with_arn}"
    ),
    Remedy.KEYS_EXCHANGED: (
        "The two ARNs were swapped. Do not change the key policies. The correct ARNs are:\n"
        "  {field}: {other_arn}\n"
        "  {other_field}: {key_arn}\n"
        "Retry with the two ARNs swapped."
    ),
    Remedy.PLATFORM_KEY: (
        "The customer does not need to do anything, because the customer's key is not at fault. AWS rejected a key of "
        "the platform's account {account}, which encrypts the managed master user secret or is an AWS default key. The "
        "platform's operator must allow {role} to use this key.\n{again}"
    ),
    Remedy.PLATFORM_MANAGED_KEY: (
        "The customer does not need to do anything, because the keys of this environment are platform-managed: "
        "{key_arn} is a key of the platform's account {account}. The platform's operator must make the key usable:\n"
        "1. Make sure that the key is an enabled symmetric encryption key in {region}, and that its policy and the IAM "
        "policy of {role} allow the calls in AWS's message.\n"
        "2. Make sure that BYOK_PLATFORM_KEYS contains the key that existing resources of the environment were created "
        "with.\n"
        "3. If the status of a cluster is inaccessible-encryption-credentials-recoverable, start the cluster (RDS, "
        "StartDBCluster) within 7 days after it lost the key.\n{again}"
    ),
    Remedy.ENCRYPTION_CANNOT_CHANGE: (
        "Nothing was changed. To use the other kind of encryption, create an environment with a different id. To "
        "continue with this environment, retry with the encryption that the environment already uses. If "
        "the environment's keys are customer-managed, specify these two keys. If the environment's keys are "
        "platform-managed, specify no keys and `encryption: platform-managed`."
    ),
    Remedy.PLATFORM_PERMISSION: (
        "The customer does not need to do anything. The platform's operator must allow {role} to call this operation, "
        "in its IAM policy and in the organization's service control policies.\n{again}"
    ),
    Remedy.PLATFORM_SESSION: (
        "The customer does not need to do anything. The platform's operator must let {role} assume itself with the "
        "session tag `organisation`: the role's trust policy must allow sts:AssumeRole and sts:TagSession for {role}, "
        "and the organization's service control policies must not deny these actions.\n{again}"
    ),
    Remedy.PLATFORM_CREDENTIALS: (
        "The customer does not need to do anything. AWS does not accept the worker's credentials or its clock, or the "
        "worker does not run as {role}. The platform's operator runs `byok doctor`, which shows the worker's AWS "
        "identity and everything that is missing.\n{again}"
    ),
    Remedy.PLATFORM_OPERATOR: (
        "The customer does not need to do anything. The platform's operator must resolve the error that AWS reports "
        "above. AWS Support can look up the error by its request id.\n{again}"
    ),
    Remedy.NAME_TAKEN: (
        "The customer does not need to do anything. A resource that does not belong to this environment has the name "
        "that the environment needs, and byok does not change that resource. The platform's operator must delete or "
        "rename it, or choose another environment id.\n{again}"
    ),
    Remedy.ID_IN_USE: (
        "The customer does not need to do anything. Nothing was created. The platform's operator must choose another "
        "environment id or, if the existing environment is no longer needed, delete it first.\n{again}"
    ),
    Remedy.OTHER_OWNER: (
        "The customer does not need to do anything. Nothing was deleted. The platform's operator must check the "
        "environment's id, and repeat the request with the organisation that owns the environment.\n{again}"
    ),
    Remedy.BUCKET_OF_ANOTHER_ACCOUNT: (
        "The customer does not need to do anything. All AWS accounts share one namespace for bucket names, and another "
        "account has taken a name that byok needs. byok writes nothing to that bucket and reads nothing from it. The "
        "platform's operator must check that the worker's credentials and {role} belong to the same account. If they "
        "do, the owner of the bucket must delete it, or the operator must choose another environment id or, before the "
        "first environment exists, another BYOK_VENDOR__RESOURCE_PREFIX.\n{again}"
    ),
    Remedy.OTHER_KEY: (
        "A resource of this environment is encrypted with a key other than {key_arn}, and the key of a resource cannot "
        "be changed. To resolve this, set {field} to the ARN of the key that the resource was created with, and retry. "
        "Alternatively, ask the platform's operator to delete the resource, and retry with the same values once it is "
        "deleted."
    ),
    Remedy.UNPROVED: (
        "The customer does not need to do anything. AWS reports settings that differ from the requested settings, so "
        "the environment does not become ready. The platform's operator must find out who changed the resource, and "
        "correct or delete the resource.\n{again}"
    ),
    Remedy.QUOTA: (
        "The customer does not need to do anything. The platform's account {account} has reached a service quota in "
        "{region}. The platform's operator must request an increase, or delete unused resources.\n{again}"
    ),
    Remedy.TENANT_NAME: (
        "Choose a tenant name of at most {longest} letters, digits, hyphens, underscores and slashes, then retry with "
        "that name. Nothing was changed."
    ),
    Remedy.TENANT_ROLE: (
        "The platform cannot assume the optional role in the customer's account, or the role does not allow this call. "
        "The key administrator compares the role with the template that the vendor sent (`byok template tenant-role`): "
        "the role must trust {role} with the same external id, and the role's policy must list both key ARNs. Both "
        "key policies must still contain the default statement, which AWS adds for the account. The tenant name can "
        "also be set without a role, with the commands that the vendor sends.\n{moment}\n{again}"
    ),
    Remedy.KEY_LIMIT: (
        "The {key} has reached the KMS limit of 50 aliases or 50 tags. The key administrator deletes aliases or tags "
        "that are no longer needed. These commands list them ({profile}):\n"
        "  aws kms list-aliases {kms}\n  aws kms list-resource-tags {kms}\n{again}"
    ),
    Remedy.ENVIRONMENT_NOT_THERE: (
        "Nothing was written: keys get a tenant name only after their environment exists. Check the environment's id "
        "and Region, and that the environment is READY (`byok list`, `byok status`).\n{again}"
    ),
    Remedy.NOT_THESE_KEYS: (
        "Nothing was written: a tenant name can be put only on the keys that the environment was created with, and "
        "{key_arn} is not one of them. `byok status` shows the environment's keys, and `byok tenant` uses those keys.\n"
        "Then retry with the correct ARN as {field}."
    ),
    Remedy.CANCELLED: "No error occurred: a user requested the cancellation. {again}",
    Remedy.MALFORMED_REQUEST: "Nothing was created. Correct the field in the message above, then retry.",
    Remedy.ORGANISATION_QUOTA: "byok has not used the keys, and has created nothing. {advice} {again}",
    Remedy.ACCOUNT_NOT_REGISTERED: (
        "If the account belongs to {organisation}, the vendor's staff must register it:\n"
        "  byok accounts allow {organisation} {key_account}\n{again}"
    ),
    Remedy.ACCOUNT_OF_ANOTHER_ORGANISATION: (
        "The customer does not need to do anything. An AWS account can be registered for only one organisation. "
        "If the account now belongs to another organisation, run `byok accounts remove` for the previous "
        "organisation. Then retry."
    ),
    Remedy.REGION_NOT_IN_USE: (
        "The customer does not need to do anything. Nothing was changed. Check the Region of the request. If the "
        "Region is correct, the platform's operator must add it to BYOK_REGIONS for the workers and the web server, "
        "and restart them. Then retry."
    ),
    Remedy.DIFFERS_FROM_AWS: (
        "The customer does not need to do anything. Nothing was deleted. The platform's operator must check that the "
        "environment's id is correct. If the id is correct, the new request must contain the values that AWS "
        "reports (see above). All resources of an environment must be in one Region: if AWS reports several Regions, "
        "the operator must first delete the resources in the wrong Regions.\nThen retry the deletion."
    ),
    Remedy.FOREIGN_OBJECTS: (
        "The customer does not need to do anything. Nothing was deleted, and the database still runs. The owner of the "
        "objects above moves or deletes them, with all their versions. To list everything in a bucket, the platform's "
        "operator calls S3's ListObjectVersions.\n{again}"
    ),
    Remedy.LEFT_BEHIND: (
        "The customer does not need to do anything. The platform's operator resolves the problems listed above. If a "
        "bucket contains objects that provisioning did not write, the owner of those objects must delete them.\n{again}"
    ),
    Remedy.NO_FINAL_SNAPSHOT: (
        "The final snapshot would be encrypted with {key_arn}, which the cluster can no longer use. The key "
        "administrator makes the key usable again, if possible. Print the key's state ({profile}):\n"
        "  aws kms describe-key {kms} --query KeyMetadata.KeyState --output text\n"
        "Without the key, no snapshot can be taken. If you delete the environment without a snapshot (byok delete "
        "--no-final-snapshot), the data is lost for good.\n{again}"
    ),
    Remedy.WAIT: (
        "The customer does not need to do anything. AWS throttled calls, was unreachable, or was still busy for longer "
        "than byok waits. Check the AWS Health Dashboard for an outage in {region}.\n{again}"
    ),
    Remedy.HELD_TOO_LONG: (
        "The customer does not need to do anything. This is a platform fault, and it lasted longer than byok holds "
        "an environment. The platform's operator runs `byok doctor`, which shows what is missing, and checks "
        "the AWS Health Dashboard for an outage in {region}.\n{again}"
    ),
}

_COPY: Final = (
    "Copy the full ARN of the {key} from the AWS KMS console of {region} (Customer managed keys > the key > ARN), or "
    "print the ARNs of all keys in that Region ({profile}):\n"
    '  aws kms list-keys {in_account} --query "Keys[].KeyArn" --output text\n{again_with_arn}'
)

ARN_REMEDY_TEXTS: Final[dict[KeyArnErrorCode, str]] = {
    KeyArnErrorCode.MALFORMED: _COPY,
    KeyArnErrorCode.NOT_AN_ARN: _COPY,
    KeyArnErrorCode.NOT_A_KEY: _COPY,
    KeyArnErrorCode.ALIAS: (
        "Provide the ARN of the key that the alias points to. This command prints the ARN ({profile}):\n"
        "  aws kms describe-key {kms} --query KeyMetadata.Arn --output text\n"
        "If AWS cannot find the alias, it does not exist in {region}. A key behind alias/aws/… is managed by AWS and "
        "cannot be shared. In both cases, create a customer managed key in {region}.\n{again_with_arn}"
    ),
    KeyArnErrorCode.OTHER_PARTITION: (
        "A key of another partition can never be used in {region}.\n{create}\n{again_with_arn}"
    ),
    KeyArnErrorCode.OTHER_REGION: (
        "If you already have a {key} in {region}, copy its ARN from the AWS KMS console of that Region. If not, "
        "create a key in that Region.\n{create}\n{again_with_arn}"
    ),
    KeyArnErrorCode.OTHER_REGION_REPLICA: (
        "Use the replica of this key in {region}. If the replica exists, this command prints its ARN, "
        "{replica} ({profile}):\n"
        "  aws kms describe-key {in_account} --key-id {replica} --query KeyMetadata.Arn --output text\n"
        "If there is no replica, create one in the AWS KMS console of the primary key's Region (the key > "
        "Regionality > Create new replica keys).\nA replica has its own key policy. {append}\n{again_with_arn}"
    ),
    KeyArnErrorCode.PLATFORM_ACCOUNT: (
        "{account} is the platform's account. The {key} must be in the customer's own account.\n{create}\n"
        "{again_with_arn}"
    ),
    KeyArnErrorCode.SAME_KEY: "S3 and Aurora need separate keys. Create a second key.\n{create}\n{again_with_arn}",
    KeyArnErrorCode.OTHER_ACCOUNT: (
        "Use a {key} in the account of the S3 key. If that account has no other key, create one.\n"
        "{create}\n{again_with_arn}"
    ),
}
