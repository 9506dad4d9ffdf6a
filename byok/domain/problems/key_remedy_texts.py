"""The texts of the remedies that change a key, its policy or its use."""

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

# The clicks in the AWS KMS console are from the AWS KMS developer guide: "Enable and disable keys", "Cancel key
# deletion", "Identify and view keys" and "Editing keys", which says that a key's own page has these actions too.
_ENABLE_CLICKS: Final = "Choose Key actions > Enable."
_CANCEL_CLICKS: Final = "Choose Key actions > Cancel key deletion."
_SEE_STATE: Final = "General configuration shows the state as Status."

_STATE_CASES: Final = (
    CaseText(
        "The state is Pending deletion (PendingDeletion)",
        "Cancel the deletion. KMS then leaves the key Disabled.",
        "aws kms cancel-key-deletion {kms}",
        _CANCEL_CLICKS,
    ),
    CaseText(
        "The state is Disabled, also after a cancelled deletion",
        "Enable the key.",
        "aws kms enable-key {kms}",
        _ENABLE_CLICKS,
    ),
)
_CHECK_STATE: Final = StepText(
    "Check the key's state.", "aws kms describe-key {kms} --query KeyMetadata", _SEE_STATE, Page.KEY, cases=_STATE_CASES
)
_WRONG_ARN: Final = CaseText(
    "AWS cannot find the key (NotFoundException)",
    "The ARN is wrong: copy the key's ARN from the AWS KMS console for {region}, and retry with it as {field}.",
)
_RUN_SCRIPT: Final = StepText(
    "Run the read-only script byok-keys.sh in the account that owns the key, for example in AWS CloudShell. The "
    "diagnosis of its output shows the cause and the fix. If you cannot run the script, carry out the checks that "
    "follow.",
    command="bash byok-keys.sh > keys.json",
    script=True,
)

KEY_REMEDY_TEXTS: Final[dict[Remedy, RemedyText]] = {
    Remedy.ENABLE_KEY: RemedyText(
        "The {key} is disabled",
        (
            StepText(
                "Enable the key in the account that owns it.", "aws kms enable-key {kms}", _ENABLE_CLICKS, Page.KEY
            ),
        ),
    ),
    Remedy.CANCEL_DELETION: RemedyText(
        "The {key} is scheduled for deletion",
        (
            StepText(
                "Cancel the deletion before its waiting period ends.",
                "aws kms cancel-key-deletion {kms}",
                _CANCEL_CLICKS,
                Page.KEY,
            ),
            StepText(
                "Enable the key: KMS leaves it disabled after a cancelled deletion.",
                "aws kms enable-key {kms}",
                _ENABLE_CLICKS,
                Page.KEY,
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
                "Check that the key's state is Enabled.",
                "aws kms describe-key {kms} --query KeyMetadata.KeyState --output text",
                _SEE_STATE,
                Page.KEY,
            ),
        ),
    ),
    Remedy.KEY_STATE: RemedyText(
        "The {key} cannot be used in its current state",
        (
            replace(
                _CHECK_STATE,
                cases=(
                    *_STATE_CASES,
                    CaseText("The state is Creating or Updating", "Wait until the state is Enabled."),
                    CaseText("The state is Unavailable", "Connect the key's custom key store."),
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
                "Compare {key_arn} with the ARNs of all keys in {region}.",
                'aws kms list-keys {in_account} --query "Keys[].KeyArn" --output text',
                "The list contains key ids, which are the last part of the ARNs. A key's own page has its ARN.",
                Page.KEYS,
                cases=(
                    CaseText("The ARN is in the list", "If the key is new, wait a minute until it has propagated."),
                    CaseText("The ARN is not in the list", "Copy the correct ARN."),
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
                "Check that the key exists.",
                "aws kms describe-key {kms} --query KeyMetadata.Arn --output text",
                "The page shows the key only if it exists.",
                Page.KEY,
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
                _CHECK_STATE,
                text="Check the key's state and type.",
                console=f"{_SEE_STATE} The tab Cryptographic configuration shows the type.",
                cases=(
                    *_STATE_CASES,
                    CaseText(
                        "The state is neither of these two, nor Enabled",
                        "If the state is Pending import, import the key material. If it is Creating or Updating, wait. "
                        "If the state is Unavailable, connect the key's custom key store.",
                    ),
                    _WRONG_ARN,
                    CaseText(
                        "The key is an AWS managed key, or is not of the type Symmetric (SYMMETRIC_DEFAULT) with the "
                        "usage Encrypt and decrypt (ENCRYPT_DECRYPT)",
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
            _CHECK_STATE,
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
            _CHECK_STATE,
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
            StepText("List the key's aliases.", "aws kms list-aliases {kms}", "Choose the tab Aliases.", Page.KEY),
            StepText("List the key's tags.", "aws kms list-resource-tags {kms}", "Choose the tab Tags.", Page.KEY),
            StepText("Delete aliases or tags that are no longer needed.", page=Page.KEY),
        ),
        "The {key} has reached the KMS limit of 50 aliases or 50 tags.",
    ),
    Remedy.NO_FINAL_SNAPSHOT: RemedyText(
        "No final snapshot can be taken without the {key}",
        (
            replace(_CHECK_STATE, text="Make the key usable again, if possible. First, check its state."),
            StepText(
                "If the key cannot be made usable again, no snapshot can be taken. If you delete the environment "
                "without a snapshot (byok delete --no-final-snapshot), the data is lost for good.",
                actor=Actor.PLATFORM_OPERATOR,
            ),
        ),
        "The final snapshot would be encrypted with {key_arn}, which the cluster can no longer use.",
    ),
}
