"""The texts of the remedies for key ARNs that an environment cannot use."""

from dataclasses import replace
from typing import Final

from byok.domain.arns import KeyArnErrorCode
from byok.domain.problems.remedies import WITH_THAT_ARN, Block, CaseText, Page, RemedyText, StepText

_COPY_ARN: Final = "Open the key, and copy its ARN from General configuration."
_LIST_KEYS: Final = StepText(
    "Copy the full ARN of the {key} in {region}.",
    'aws kms list-keys {in_account} --query "Keys[].KeyArn" --output text',
    _COPY_ARN,
    Page.KEYS,
)
_PRINT_ARN: Final = "aws kms describe-key {kms} --query KeyMetadata.Arn --output text"

ARN_REMEDY_TEXTS: Final[dict[KeyArnErrorCode, RemedyText]] = {
    KeyArnErrorCode.MALFORMED: RemedyText("The {field} is not a full key ARN", (_LIST_KEYS,), retry=WITH_THAT_ARN),
    KeyArnErrorCode.NOT_AN_ARN: RemedyText(
        "The {field} is not an ARN",
        (
            StepText(
                "Look up the ARN of the key with this id.",
                _PRINT_ARN,
                _COPY_ARN,
                Page.KEYS,
                cases=(
                    CaseText("AWS cannot find the key (NotFoundException)", "The key is in another account or Region."),
                ),
            ),
        ),
        retry=WITH_THAT_ARN,
    ),
    KeyArnErrorCode.NOT_A_KEY: RemedyText(
        "The {field} is not the ARN of a KMS key", (_LIST_KEYS,), retry=WITH_THAT_ARN
    ),
    KeyArnErrorCode.ALIAS: RemedyText(
        "The {field} is an alias, not the ARN of a key",
        (
            StepText(
                "Look up the ARN of the key that the alias points to.",
                _PRINT_ARN,
                _COPY_ARN,
                Page.KEYS,
                cases=(
                    CaseText(
                        "AWS cannot find the alias (NotFoundException)",
                        "The alias does not exist in {region}: use the ARN of another customer managed key in "
                        "{region}, or create one.",
                    ),
                    CaseText(
                        "The alias begins with alias/aws/",
                        "This is the alias of an AWS managed key, which cannot be shared: create a customer managed "
                        "key in {region}.",
                    ),
                ),
            ),
        ),
        retry=WITH_THAT_ARN,
    ),
    KeyArnErrorCode.OTHER_PARTITION: RemedyText(
        "The {key} is in another AWS partition",
        (Block.CREATE_KEY,),
        "A key in another partition can never be used in {region}.",
        WITH_THAT_ARN,
    ),
    KeyArnErrorCode.OTHER_REGION: RemedyText(
        "The {key} is in another Region",
        (
            replace(
                _LIST_KEYS,
                text="If you already have a {key} in {region}, copy its ARN. If not, create a key in that Region.",
            ),
            Block.CREATE_KEY,
        ),
        retry=WITH_THAT_ARN,
    ),
    KeyArnErrorCode.OTHER_REGION_REPLICA: RemedyText(
        "The {key} is a multi-Region key in another Region",
        (
            StepText(
                "Check that the key has a replica in {region}, and use its ARN: {replica}.",
                "aws kms describe-key {in_account} --key-id {replica} --query KeyMetadata.Arn --output text",
                "The tab Regionality lists the replicas.",
                Page.KEY,
                cases=(
                    CaseText(
                        "There is no replica in {region} (NotFoundException)",
                        "Create the replica in the AWS KMS console for the primary key's Region (the key > Regionality "
                        "> Create new replica keys).",
                    ),
                ),
            ),
            Block.APPEND_STATEMENTS,
        ),
        "A replica has its own key policy.",
        WITH_THAT_ARN,
    ),
    KeyArnErrorCode.PLATFORM_ACCOUNT: RemedyText(
        "The {key} is in the platform's account",
        (Block.CREATE_KEY,),
        "{account} is the platform's account. The {key} must be in the customer's own account.",
        WITH_THAT_ARN,
    ),
    KeyArnErrorCode.SAME_KEY: RemedyText(
        "The two ARNs belong to one key",
        (
            replace(
                _LIST_KEYS,
                text="If you already have a second key in {region}, copy its ARN. If not, create a second key.",
            ),
            Block.CREATE_KEY,
        ),
        "S3 and Aurora need separate keys.",
        WITH_THAT_ARN,
    ),
    KeyArnErrorCode.OTHER_ACCOUNT: RemedyText(
        "The two keys are in different AWS accounts",
        (
            replace(
                _LIST_KEYS,
                text="If the account of the S3 key already has a {key}, sign in to that account, and copy the key's "
                "ARN. If not, create the key in that account.",
            ),
            Block.CREATE_KEY,
        ),
        "Both keys of an environment must be in one account.",
        WITH_THAT_ARN,
    ),
}
