"""The texts of the remedies for a key ARN that cannot be the ARN of the environment's key."""

from typing import Final

from byok.domain.arns import KeyArnErrorCode
from byok.domain.problems.remedies import WITH_THAT_ARN, Block, Page, RemedyText, StepText

_COPY_ARN: Final = (
    StepText(
        "Copy the full ARN of the {key} from the AWS KMS console of {region} (Customer managed keys > the key > ARN), "
        "or print the ARNs of all keys in that Region.",
        command='aws kms list-keys {in_account} --query "Keys[].KeyArn" --output text',
        page=Page.KEYS,
    ),
)

ARN_REMEDY_TEXTS: Final[dict[KeyArnErrorCode, RemedyText]] = {
    KeyArnErrorCode.MALFORMED: RemedyText("The {field} is not a full key ARN", _COPY_ARN, retry=WITH_THAT_ARN),
    KeyArnErrorCode.NOT_AN_ARN: RemedyText("The {field} is not an ARN", _COPY_ARN, retry=WITH_THAT_ARN),
    KeyArnErrorCode.NOT_A_KEY: RemedyText("The {field} is not the ARN of a KMS key", _COPY_ARN, retry=WITH_THAT_ARN),
    KeyArnErrorCode.ALIAS: RemedyText(
        "The {field} is an alias, not the ARN of a key",
        (
            StepText(
                "Print the ARN of the key that the alias points to.",
                command="aws kms describe-key {kms} --query KeyMetadata.Arn --output text",
                page=Page.KEYS,
            ),
            StepText(
                "If AWS cannot find the alias, it does not exist in {region}. A key behind alias/aws/… is managed by "
                "AWS and cannot be shared. In both cases, the key administrator creates a customer managed key in "
                "{region}."
            ),
        ),
        retry=WITH_THAT_ARN,
    ),
    KeyArnErrorCode.OTHER_PARTITION: RemedyText(
        "The {key} is in another AWS partition",
        (Block.CREATE_KEY,),
        "A key of another partition can never be used in {region}.",
        WITH_THAT_ARN,
    ),
    KeyArnErrorCode.OTHER_REGION: RemedyText(
        "The {key} is in another Region",
        (
            StepText(
                "If you already have a {key} in {region}, copy its ARN from the AWS KMS console of that Region. If "
                "not, create a key in that Region.",
                page=Page.KEYS,
            ),
            Block.CREATE_KEY,
        ),
        retry=WITH_THAT_ARN,
    ),
    KeyArnErrorCode.OTHER_REGION_REPLICA: RemedyText(
        "The {key} is a multi-Region key of another Region",
        (
            StepText(
                "Use the replica of this key in {region}. If the replica exists, this command prints its ARN, "
                "{replica}.",
                command="aws kms describe-key {in_account} --key-id {replica} --query KeyMetadata.Arn --output text",
            ),
            StepText(
                "If there is no replica, the key administrator creates one in the AWS KMS console of the primary key's "
                "Region (the key > Regionality > Create new replica keys)."
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
        (Block.CREATE_KEY,),
        "S3 and Aurora need separate keys. Create a second key.",
        WITH_THAT_ARN,
    ),
    KeyArnErrorCode.OTHER_ACCOUNT: RemedyText(
        "The two keys are in different AWS accounts",
        (Block.CREATE_KEY,),
        "Use a {key} in the account of the S3 key. If that account has no other key, create one.",
        WITH_THAT_ARN,
    ),
}
