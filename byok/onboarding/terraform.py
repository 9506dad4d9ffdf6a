"""The Terraform file that creates the same two keys as the CloudFormation template.

The file is rendered for one Region and one platform role. The policies in the file contain the statements as JSON,
which is also valid HCL. The only variable is the tenant name.
"""

import json
import re
from typing import Final

from byok.domain.arns import KeyPurpose, partition_of_region
from byok.domain.iam.statements import (
    StatementParameters,
    build_key_policy,
    build_key_statements,
    build_owner_statement,
)
from byok.domain.onboarding.payload import RDS_KEY_FIELD, S3_KEY_FIELD
from byok.domain.vendor import TENANT_PLACEHOLDER, VendorProfile

TERRAFORM_FILE: Final = "byok-kms-keys.tf"

_NAMES: Final = {KeyPurpose.S3: "s3", KeyPurpose.RDS: "rds"}
_ROOT: Final = "the owner of the keys"


def render_terraform_file(
    platform_role_arn: str, region: str, vendor: VendorProfile, organisation: str | None = None
) -> str:
    """Return the file's text.

    Args:
        platform_role_arn: The role to which the key policies grant access.
        region: The environment's Region.
        vendor: The vendor's names.
        organisation: The organisation that owns the environment; None for the vendor.

    Raises:
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    widest = max(len(json.dumps(key)) for key in vendor.tenant_tags)
    grantee = StatementParameters.for_platform_role(platform_role_arn, region, organisation)
    keys = "\n".join(_key(which, grantee, region, vendor) for which in KeyPurpose)
    return _FRAME.format(
        vendor=vendor.name,
        region=region,
        longest=vendor.tenant_name_max_length,
        pattern=f"^[A-Za-z0-9/_-]{{0,{vendor.tenant_name_max_length}}}$",
        tags="\n".join(f"    {json.dumps(key):<{widest}} = var.tenant_name" for key in vendor.tenant_tags),
        keys=keys,
        output=_snake(vendor.payload_output_name),
        s3=S3_KEY_FIELD,
        rds=RDS_KEY_FIELD,
    )


def _key(which: KeyPurpose, grantee: StatementParameters, region: str, vendor: VendorProfile) -> str:
    ours = build_key_statements(which, grantee, vendor)
    # Format the policy as `terraform fmt` would.
    policy = json.dumps(build_key_policy(build_owner_statement(_ROOT), ours), indent=2, separators=(",", " : "))
    # The account is known only when Terraform runs, so the JSON string that contains the account is replaced with a
    # function call.
    root = f'format("arn:{partition_of_region(region)}:iam::%s:root", data.aws_caller_identity.owner.account_id)'
    return _KEY.format(
        name=_NAMES[which],
        description=f"{vendor.name} BYOK: {which.encrypted_data}",
        policy=policy.replace("\n", "\n  ").replace(json.dumps(_ROOT), root),
        alias=vendor.alias_pattern(which).replace(TENANT_PLACEHOLDER, "%s"),
    )


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


_FRAME: Final = """\
# Bring Your Own Key: the two KMS keys of your {vendor} environment, in your own AWS account.
#
# The first statement of each policy is AWS's default statement. This statement gives your account control of the key:
# never remove it. The other statements let one platform role use the key, only through S3 or RDS and only in one
# Region.

terraform {{
  required_version = ">= 1.5"
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }}
  }}
}}

provider "aws" {{
  region = "{region}"
}}

variable "tenant_name" {{
  description = "Leave empty at first. Once the environment is ready, enter the tenant name for aliases and tags."
  type        = string
  default     = ""

  validation {{
    condition     = can(regex("{pattern}", var.tenant_name))
    error_message = "At most {longest} letters, digits, hyphens, underscores and slashes."
  }}
}}

data "aws_caller_identity" "owner" {{}}

locals {{
  tenant_tags = var.tenant_name == "" ? {{}} : {{
{tags}
  }}
}}

{keys}
output "{output}" {{
  description = "Both key ARNs. Use this value, unchanged, when you create the environment."
  value       = format("{{\\"{s3}\\":\\"%s\\",\\"{rds}\\":\\"%s\\"}}", aws_kms_key.s3.arn, aws_kms_key.rds.arn)
}}
"""

_KEY: Final = """\
resource "aws_kms_key" "{name}" {{
  description              = "{description}"
  customer_master_key_spec = "SYMMETRIC_DEFAULT"
  key_usage                = "ENCRYPT_DECRYPT"
  enable_key_rotation      = true
  tags                     = local.tenant_tags

  policy = jsonencode({policy})

  lifecycle {{
    prevent_destroy = true
  }}
}}

resource "aws_kms_alias" "{name}" {{
  count         = var.tenant_name == "" ? 0 : 1
  name          = format("{alias}", var.tenant_name)
  target_key_id = aws_kms_key.{name}.key_id
}}
"""
