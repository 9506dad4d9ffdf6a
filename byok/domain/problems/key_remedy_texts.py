"""The texts of the remedies that the customer's key administrator or the user who made the request carries out."""

from dataclasses import replace
from typing import Final

from byok.domain.problems.remedies import (
    WITH_THAT_ARN,
    Block,
    CaseText,
    Page,
    Remedy,
    RemedyText,
    RetryText,
    StepText,
)
from byok.domain.remediation import Actor, RetryValues

_ENABLE: Final = CaseText("KeyState is Disabled", "Enable the key.", "aws kms enable-key {kms}")
_STATE_CASES: Final = (
    CaseText(
        "KeyState is PendingDeletion",
        "Cancel the deletion. KMS then leaves the key Disabled.",
        "aws kms cancel-key-deletion {kms}",
    ),
    replace(_ENABLE, when="KeyState is Disabled, also after a cancelled deletion"),
)
_PRINT_STATE: Final = StepText(
    "Print the key's state.", "aws kms describe-key {kms} --query KeyMetadata", Page.KEY, cases=_STATE_CASES
)
_WRONG_ARN: Final = CaseText(
    "AWS returns NotFoundException",
    "The ARN is wrong: copy the key's ARN from the AWS KMS console for {region}, and retry with it as {field}.",
)
_RUN_SCRIPT: Final = StepText(
    "Run the read-only script byok-keys.sh in the account that owns the key, for example in AWS CloudShell, and have "
    "byok diagnose its output: the diagnosis shows the cause and the fix. If you cannot run the script, continue "
    "with the next step.",
    command="bash byok-keys.sh > keys.json",
    script=True,
)

KEY_REMEDY_TEXTS: Final[dict[Remedy, RemedyText]] = {
    Remedy.ENABLE_KEY: RemedyText(
        "The {key} is disabled",
        (StepText("Enable the key in the account that owns it.", command="aws kms enable-key {kms}", page=Page.KEY),),
    ),
    Remedy.CANCEL_DELETION: RemedyText(
        "The {key} is scheduled for deletion",
        (
            StepText(
                "Cancel the deletion before its waiting period ends.",
                command="aws kms cancel-key-deletion {kms}",
                page=Page.KEY,
            ),
            StepText(
                "Enable the key: KMS leaves it disabled after a cancelled deletion.",
                command="aws kms enable-key {kms}",
            ),
        ),
    ),
    Remedy.IMPORT_MATERIAL: RemedyText(
        "The {key} has no key material yet",
        (
            StepText(
                'Import the key material (AWS KMS developer guide, "Importing key material").',
                page=Page.KEY,
            ),
            StepText(
                "Check that this command prints Enabled.",
                command="aws kms describe-key {kms} --query KeyMetadata.KeyState --output text",
            ),
        ),
    ),
    Remedy.KEY_STATE: RemedyText(
        "The {key} cannot be used in its current state",
        (
            replace(
                _PRINT_STATE,
                cases=(
                    *_STATE_CASES,
                    CaseText("KeyState is Creating or Updating", "Wait until KeyState is Enabled."),
                    CaseText("KeyState is Unavailable", "Connect the key's custom key store."),
                ),
            ),
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
                "Print the ARNs of all keys in {region}, and compare them with {key_arn}.",
                command='aws kms list-keys {in_account} --query "Keys[].KeyArn" --output text',
                page=Page.KEYS,
                cases=(
                    CaseText("The ARN is in the list", "If the key is new, wait a minute until it has propagated."),
                    CaseText("The ARN is not in the list", "Copy the correct ARN from the list."),
                ),
            ),
        ),
        retry=RetryText(
            RetryValues.SAME_OR_ANOTHER_KEY,
            "If the ARN is in the list, retry with the same values. If not, retry with the correct ARN as {field}.",
        ),
    ),
    Remedy.S3_KEY_POLICY: RemedyText(
        "The platform cannot use the {key} through S3",
        (
            _RUN_SCRIPT,
            StepText(
                "Check that the key exists: this command prints its ARN.",
                command="aws kms describe-key {kms} --query KeyMetadata.Arn --output text",
                page=Page.KEY,
                cases=(_WRONG_ARN,),
            ),
            Block.CHANGE_POLICY,
            StepText(
                "If AWS's message mentions an identity-based policy or a service control policy, allow {role} to use "
                "KMS.",
                actor=Actor.PLATFORM_OPERATOR,
            ),
        ),
        "Either the policy of the {key} does not let the platform use the key through S3, or the key does not exist. "
        "For a key in another account, AWS returns the same error in both cases.",
    ),
    Remedy.RDS_KEY: RemedyText(
        "RDS cannot use the {key}",
        (
            _RUN_SCRIPT,
            replace(
                _PRINT_STATE,
                text="Print the key's state and type.",
                cases=(
                    *_STATE_CASES,
                    CaseText(
                        "KeyState has a value other than Enabled",
                        "If the state is PendingImport, import the key material. If the state is Creating or Updating, "
                        "wait. If the state is Unavailable, connect the key's custom key store.",
                    ),
                    _WRONG_ARN,
                    CaseText(
                        "KeyManager is AWS, KeySpec is not SYMMETRIC_DEFAULT, or KeyUsage is not ENCRYPT_DECRYPT",
                        "RDS can never use this key: create a symmetric encryption key in {region}, and "
                        "retry with its ARN as {field}.",
                    ),
                ),
            ),
            Block.CHANGE_POLICY,
        ),
        "RDS returns the same error for every cause. If AWS's message states a cause, fix that cause first. Otherwise, "
        "follow these steps, which check the most likely cause first.",
    ),
    Remedy.CLUSTER_LOST_KEY: RemedyText(
        "The cluster can no longer use the {key}",
        (
            _PRINT_STATE,
            StepText(
                "If the cluster's status above ends in -recoverable, start the cluster (RDS, StartDBCluster) within 7 "
                "days after it lost the key. With any other status, the cluster cannot be started again: delete it.",
                actor=Actor.PLATFORM_OPERATOR,
            ),
        ),
    ),
    Remedy.READY_CLUSTER_LOST_KEY: RemedyText(
        "The database is down because it can no longer use the {key}",
        (
            _PRINT_STATE,
            StepText(
                "If the cluster's status above ends in -recoverable, wait: byok tries to start the cluster every few "
                "minutes, and succeeds once the key is usable. Aurora keeps the cluster recoverable for 7 days after "
                "it lost the key. If BYOK_RECOVER_CLUSTERS is false, start the cluster (RDS, StartDBCluster).",
                actor=Actor.PLATFORM_OPERATOR,
            ),
            StepText(
                "If the status does not end in -recoverable, the cluster cannot be started again: restore a snapshot, "
                "which also needs the key.",
                actor=Actor.PLATFORM_OPERATOR,
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
            StepText("Use {other_arn} as {field}.", actor=Actor.REQUESTER),
            StepText("Use {key_arn} as {other_field}.", actor=Actor.REQUESTER),
        ),
        "Do not change the key policies.",
        RetryText(RetryValues.SWAPPED_KEYS, "Retry with the two ARNs swapped."),
    ),
    Remedy.OTHER_KEY: RemedyText(
        "A resource is already encrypted with a different {key}",
        (
            StepText("Set {field} to the ARN of the key that the resource was created with.", actor=Actor.REQUESTER),
            StepText(
                "Alternatively, delete the resource that is encrypted with the other key.",
                actor=Actor.PLATFORM_OPERATOR,
            ),
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
            StepText(
                "To use the other kind of encryption, create an environment with a different id.",
                actor=Actor.REQUESTER,
            ),
            StepText(
                "To continue with this environment, use the encryption that it already uses. If the environment's keys "
                "are customer-managed, specify these two keys. If the environment's keys are platform-managed, specify "
                "no keys and `encryption: platform-managed`.",
                actor=Actor.REQUESTER,
            ),
        ),
        "Nothing was changed.",
        RetryText(RetryValues.CORRECTED, "Retry with the corrected values."),
    ),
    Remedy.TENANT_NAME: RemedyText(
        "The tenant name is not allowed",
        (
            StepText(
                "Choose a tenant name of at most {longest} letters, digits, hyphens, underscores and slashes.",
                actor=Actor.REQUESTER,
            ),
        ),
        "Nothing was changed.",
        RetryText(RetryValues.CORRECTED, "Retry with that name."),
    ),
    Remedy.TENANT_ROLE: RemedyText(
        "The platform cannot use the role in the customer's account",
        (
            StepText(
                "Compare the role with the template that the vendor sent (`byok template "
                "tenant-role`): the role must trust {role} with the same external id, and the role's policy must list "
                "both key ARNs."
            ),
            StepText(
                "Check that both key policies still contain the default statement, which AWS adds for the account. "
                "{moment}"
            ),
        ),
        "The platform cannot assume the optional role in the customer's account, or the role does not allow this call. "
        "The tenant name can also be set without a role, with the commands that the vendor sends.",
    ),
    Remedy.KEY_LIMIT: RemedyText(
        "The {key} has too many aliases or tags",
        (
            StepText("List the key's aliases.", command="aws kms list-aliases {kms}"),
            StepText("List the key's tags.", command="aws kms list-resource-tags {kms}"),
            StepText("Delete aliases or tags that are no longer needed.", page=Page.KEY),
        ),
        "The {key} has reached the KMS limit of 50 aliases or 50 tags.",
    ),
    Remedy.ENVIRONMENT_NOT_THERE: RemedyText(
        "The environment does not exist or is not ready",
        (
            StepText(
                "Check the environment's id and Region, and that the environment is READY (`byok list`, `byok "
                "status`).",
                actor=Actor.REQUESTER,
            ),
        ),
        "byok wrote nothing, because keys get a tenant name only after their environment exists.",
    ),
    Remedy.NOT_THESE_KEYS: RemedyText(
        "The {key} is not a key of this environment",
        (
            StepText(
                "Look up the environment's keys with `byok status`. `byok tenant` uses those keys.",
                actor=Actor.REQUESTER,
            ),
        ),
        "byok wrote nothing, because a tenant name can be set only on the keys that the environment was created with, "
        "and {key_arn} is not one of those keys.",
        RetryText(RetryValues.ANOTHER_KEY, "Retry with the correct ARN as {field}."),
    ),
    Remedy.CANCELLED: RemedyText(
        "A user cancelled the request", explanation="No error occurred: a user requested the cancellation."
    ),
    Remedy.MALFORMED_REQUEST: RemedyText(
        "The request is invalid",
        (StepText("Correct the field in the message above.", actor=Actor.REQUESTER),),
        "Nothing was created.",
        RetryText(RetryValues.CORRECTED, "Retry with the corrected value."),
    ),
    Remedy.ORGANISATION_QUOTA: RemedyText(
        "The organisation has reached its quota",
        (StepText("{advice}", actor=Actor.REQUESTER),),
        "byok has not used the keys, and has created nothing.",
    ),
    Remedy.ACCOUNT_NOT_REGISTERED: RemedyText(
        "The AWS account of the {key} is not registered",
        (
            StepText(
                "If the account belongs to {organisation}, register it.",
                command="byok accounts allow {organisation} {key_account}",
                actor=Actor.PLATFORM_OPERATOR,
            ),
        ),
    ),
    Remedy.NO_FINAL_SNAPSHOT: RemedyText(
        "No final snapshot can be taken without the {key}",
        (
            replace(_PRINT_STATE, text="Make the key usable again, if possible. First, print its state."),
            StepText(
                "If the key cannot be made usable again, no snapshot can be taken. If you delete the environment "
                "without a snapshot (byok delete --no-final-snapshot), the data is lost for good.",
                actor=Actor.PLATFORM_OPERATOR,
            ),
        ),
        "The final snapshot would be encrypted with {key_arn}, which the cluster can no longer use.",
    ),
}
