"""The texts of the remedies that a customer carries out: the key administrator, or the user who made the request."""

from typing import Final

from byok.domain.problems.remedies import WITH_THAT_ARN, Block, Page, Remedy, RemedyText, RetryText, StepText
from byok.domain.remediation import RetryValues

_PRINT_STATE: Final = "aws kms describe-key {kms} --query KeyMetadata.KeyState --output text"
_CANCEL_DELETION: Final = StepText(
    "If the key is scheduled for deletion, the key administrator cancels the deletion.",
    command="aws kms cancel-key-deletion {kms}",
    page=Page.KEY,
)
_ENABLE: Final = StepText(
    "The key administrator enables the key. KMS also leaves a key disabled after a cancelled deletion.",
    command="aws kms enable-key {kms}",
)

KEY_REMEDY_TEXTS: Final[dict[Remedy, RemedyText]] = {
    Remedy.ENABLE_KEY: RemedyText(
        "The {key} is disabled",
        (StepText("The key administrator enables the key.", command="aws kms enable-key {kms}", page=Page.KEY),),
    ),
    Remedy.CANCEL_DELETION: RemedyText(
        "The {key} is scheduled for deletion",
        (
            StepText(
                "The key administrator cancels the deletion before its waiting period ends.",
                command="aws kms cancel-key-deletion {kms}",
                page=Page.KEY,
            ),
            StepText(
                "The key administrator enables the key, because KMS leaves it disabled after a cancelled deletion.",
                command="aws kms enable-key {kms}",
            ),
        ),
    ),
    Remedy.IMPORT_MATERIAL: RemedyText(
        "The {key} has no key material yet",
        (
            StepText(
                'The key administrator imports the key material (AWS KMS developer guide, "Importing key material").',
                page=Page.KEY,
            ),
            StepText("You can use the key once this command prints Enabled.", command=_PRINT_STATE),
        ),
    ),
    Remedy.KEY_STATE: RemedyText(
        "The {key} cannot be used in its current state",
        (
            StepText("The key administrator prints the key's state.", command=_PRINT_STATE, page=Page.KEY),
            StepText("If the state is Creating or Updating, wait until it ends on its own."),
            StepText("If the state is Unavailable, the key administrator connects the key's custom key store."),
            StepText("You can use the key once its state is Enabled."),
        ),
    ),
    Remedy.SYMMETRIC_KEY: RemedyText(
        "The {key} is not a symmetric encryption key",
        (Block.CREATE_KEY,),
        "{key_arn} is not a symmetric encryption key (SYMMETRIC_DEFAULT, ENCRYPT_DECRYPT). The type and usage of a KMS "
        "key cannot be changed.",
        WITH_THAT_ARN,
    ),
    Remedy.OWN_KEY: RemedyText(
        "The {key} is managed by AWS and cannot be shared",
        (Block.CREATE_KEY,),
        "An AWS managed key cannot be shared with the platform, because only AWS can change its policy. The {key} must "
        "be a customer managed key.",
        WITH_THAT_ARN,
    ),
    Remedy.CHECK_ARN: RemedyText(
        "AWS cannot find the {key}",
        (
            StepText(
                "The key administrator lists the ARNs of all keys in {region} and compares them with {key_arn}.",
                command='aws kms list-keys {in_account} --query "Keys[].KeyArn" --output text',
                page=Page.KEYS,
            ),
            StepText("If the ARN is in the list, the new key may not have propagated yet: wait a minute."),
        ),
        retry=RetryText(
            RetryValues.SAME_OR_ANOTHER_KEY,
            "If the ARN is in the list, retry with the same values. If not, retry with the correct ARN as {field}.",
        ),
    ),
    Remedy.S3_KEY_POLICY: RemedyText(
        "The platform cannot use the {key} through S3",
        (
            StepText(
                "The key administrator compares {key_arn} with the ARN of the key in the AWS KMS console of {region}. "
                "If they differ, retry with the correct ARN as {field}.",
                page=Page.KEY,
            ),
            Block.CHANGE_POLICY,
            StepText(
                "If the statement is already there, the key administrator compares every value in it: the principal is "
                "{role}, kms:ViaService is s3.{region}.amazonaws.com, aws:PrincipalAccount is {account}{session_tag}. "
                "A condition on kms:EncryptionContext:aws:s3:arn must allow every bucket of the platform, with and "
                "without the object's name. No other statement of the policy may have Effect Deny for this principal."
            ),
            StepText(
                "If AWS's message mentions an identity-based policy or a service control policy, the platform's "
                "operator must allow {role} to use KMS."
            ),
        ),
        "Either the policy of the {key} does not let the platform use the key through S3, or the key does not exist. "
        "For a key in another account, AWS returns the same error in both cases.",
    ),
    Remedy.RDS_KEY: RemedyText(
        "RDS cannot use the {key}",
        (
            StepText(
                "The key administrator checks that the key exists in {region}, and that this command prints Enabled, "
                "SYMMETRIC_DEFAULT and ENCRYPT_DECRYPT.",
                command='aws kms describe-key {kms} --query "KeyMetadata.[KeyState,KeySpec,KeyUsage]" --output text',
                page=Page.KEY,
            ),
            StepText(
                "If it prints PendingDeletion, the key administrator cancels the deletion. The key then is Disabled.",
                command="aws kms cancel-key-deletion {kms}",
            ),
            StepText(
                "If it printed PendingDeletion or Disabled, the key administrator enables the key.",
                command="aws kms enable-key {kms}",
            ),
            StepText("If AWS cannot find the key, or prints other values, retry with another key as {field}."),
            Block.CHANGE_POLICY,
            StepText(
                "If the statements are already there, the key administrator checks that every value matches the "
                "statements above, and that no other statement of the policy has Effect Deny for {role}."
            ),
        ),
        "RDS returns the same error for every reason why it cannot use the {key}. Check these points in order.",
    ),
    Remedy.CLUSTER_LOST_KEY: RemedyText(
        "The cluster can no longer use the {key}",
        (
            _CANCEL_DELETION,
            _ENABLE,
            StepText(
                "If the cluster's status above ends in -recoverable, the platform's operator starts the cluster (RDS, "
                "StartDBCluster) within 7 days after the cluster lost the key. If the status does not end in "
                "-recoverable, the cluster cannot be started again, and the operator must delete it."
            ),
        ),
    ),
    Remedy.READY_CLUSTER_LOST_KEY: RemedyText(
        "The database is down because it can no longer use the {key}",
        (
            _CANCEL_DELETION,
            _ENABLE,
            StepText(
                "If the cluster's status above ends in -recoverable, byok tries to start the cluster every few "
                "minutes, and succeeds once the key is usable. Aurora keeps the cluster recoverable for 7 days after "
                "it lost the key. If the vendor has turned this off, the platform's operator starts the cluster (RDS, "
                "StartDBCluster)."
            ),
            StepText(
                "If the status does not end in -recoverable, the cluster cannot be started again. The platform's "
                "operator restores a snapshot, which also needs the key."
            ),
        ),
    ),
    Remedy.KEY_IN_USE: RemedyText(
        "The {key} is already used by another environment",
        (Block.CREATE_KEY,),
        "{key_arn} is already used by another environment; each environment needs its own pair of keys. Create a new "
        "{key} for this environment.",
        WITH_THAT_ARN,
    ),
    Remedy.KEYS_EXCHANGED: RemedyText(
        "The two key ARNs are swapped",
        (
            StepText("The {field} must be {other_arn}."),
            StepText("The {other_field} must be {key_arn}."),
        ),
        "Do not change the key policies.",
        RetryText(RetryValues.SWAPPED_KEYS, "Retry with the two ARNs swapped."),
    ),
    Remedy.OTHER_KEY: RemedyText(
        "A resource is already encrypted with a different {key}",
        (
            StepText("Set {field} to the ARN of the key that the resource was created with."),
            StepText("Alternatively, ask the platform's operator to delete the resource, and keep the same values."),
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
            StepText("To use the other kind of encryption, create an environment with a different id."),
            StepText(
                "To continue with this environment, use the encryption that it already uses. If the environment's keys "
                "are customer-managed, specify these two keys. If they are platform-managed, specify no keys and "
                "`encryption: platform-managed`."
            ),
        ),
        "Nothing was changed.",
        RetryText(RetryValues.CORRECTED, "Retry with the values that fit."),
    ),
    Remedy.TENANT_NAME: RemedyText(
        "The tenant name is not allowed",
        (StepText("Choose a tenant name of at most {longest} letters, digits, hyphens, underscores and slashes."),),
        "Nothing was changed.",
        RetryText(RetryValues.CORRECTED, "Retry with that name."),
    ),
    Remedy.TENANT_ROLE: RemedyText(
        "The platform cannot use the role in the customer's account",
        (
            StepText(
                "The key administrator compares the role with the template that the vendor sent (`byok template "
                "tenant-role`): the role must trust {role} with the same external id, and the role's policy must list "
                "both key ARNs."
            ),
            StepText(
                "The key administrator checks that both key policies still contain the default statement, which AWS "
                "adds for the account. {moment}"
            ),
        ),
        "The platform cannot assume the optional role in the customer's account, or the role does not allow this call. "
        "The tenant name can also be set without a role, with the commands that the vendor sends.",
    ),
    Remedy.KEY_LIMIT: RemedyText(
        "The {key} has too many aliases or tags",
        (
            StepText("The key administrator lists the key's aliases.", command="aws kms list-aliases {kms}"),
            StepText("The key administrator lists the key's tags.", command="aws kms list-resource-tags {kms}"),
            StepText("The key administrator deletes aliases or tags that are no longer needed.", page=Page.KEY),
        ),
        "The {key} has reached the KMS limit of 50 aliases or 50 tags.",
    ),
    Remedy.ENVIRONMENT_NOT_THERE: RemedyText(
        "The environment does not exist or is not ready",
        (
            StepText(
                "Check the environment's id and Region, and that the environment is READY (`byok list`, `byok status`)."
            ),
        ),
        "Nothing was written: keys get a tenant name only after their environment exists.",
    ),
    Remedy.NOT_THESE_KEYS: RemedyText(
        "The {key} is not a key of this environment",
        (StepText("`byok status` shows the environment's keys, and `byok tenant` uses those keys."),),
        "Nothing was written: a tenant name can be put only on the keys that the environment was created with, and "
        "{key_arn} is not one of them.",
        RetryText(RetryValues.ANOTHER_KEY, "Retry with the correct ARN as {field}."),
    ),
    Remedy.CANCELLED: RemedyText(
        "A user cancelled the request", explanation="No error occurred: a user requested the cancellation."
    ),
    Remedy.MALFORMED_REQUEST: RemedyText(
        "The request is invalid",
        (StepText("Correct the field in the message above."),),
        "Nothing was created.",
        RetryText(RetryValues.CORRECTED, "Retry with the corrected value."),
    ),
    Remedy.ORGANISATION_QUOTA: RemedyText(
        "The organisation has reached its quota",
        (StepText("{advice}"),),
        "byok has not used the keys, and has created nothing.",
    ),
    Remedy.ACCOUNT_NOT_REGISTERED: RemedyText(
        "The AWS account of the {key} is not registered",
        (
            StepText(
                "If the account belongs to {organisation}, the vendor's staff must register it.",
                command="byok accounts allow {organisation} {key_account}",
            ),
        ),
    ),
    Remedy.NO_FINAL_SNAPSHOT: RemedyText(
        "No final snapshot can be taken without the {key}",
        (
            StepText(
                "The key administrator makes the key usable again, if possible. Print the key's state.",
                command=_PRINT_STATE,
                page=Page.KEY,
            ),
            StepText(
                "Without the key, no snapshot can be taken. If you delete the environment without a snapshot (byok "
                "delete --no-final-snapshot), the data is lost for good."
            ),
        ),
        "The final snapshot would be encrypted with {key_arn}, which the cluster can no longer use.",
    ),
}
