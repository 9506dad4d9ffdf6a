"""The optional CloudFormation template for the role with which the platform sets a tenant name on the keys (D11).

A key policy cannot allow another account to manage KMS aliases and tags, so this role is in the customer's account. The
role has only the permissions that are needed to set the name on these two keys.
"""

from typing import Any, Final

from byok.domain.arns import KeyPurpose
from byok.domain.onboarding.customer_commands import TENANT_ROLE_ARN_OUTPUT
from byok.domain.onboarding.payload import RDS_KEY_FIELD, S3_KEY_FIELD
from byok.domain.tenant import EXTERNAL_ID_IN_WORDS, EXTERNAL_ID_PATTERN
from byok.domain.vendor import TENANT_PLACEHOLDER, VendorProfile
from byok.onboarding.cloudformation_yaml import GetAtt, IntrinsicFunction, Ref, dump_template
from byok.onboarding.template import build_role_parameter

_PARAMETERS: Final = {KeyPurpose.S3: S3_KEY_FIELD, KeyPurpose.RDS: RDS_KEY_FIELD}
_KEY_PATTERN: Final = r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/(mrk-)?[0-9a-f-]{32,36}$"


def render_tenant_role_template(vendor: VendorProfile) -> str:
    """Return the template's text.

    The platform passes the external id in every AssumeRole call. Without the external id, another party could trick
    the platform into using this role ("The confused deputy problem", IAM user guide). The external id is not a secret.
    """
    return dump_template(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": f"A role that lets the {vendor.name} platform put your tenant name on your two KMS keys, as "
            "aliases and tags, and do nothing else.",
            "Parameters": _parameters(vendor),
            "Resources": {"TenantRole": _role(vendor)},
            "Outputs": {
                TENANT_ROLE_ARN_OUTPUT: {
                    "Description": "ARN of the role. Send this ARN to the platform's operator.",
                    "Value": GetAtt("TenantRole.Arn"),
                }
            },
        },
        _HEADING.format(vendor=vendor.name),
    )


def _parameters(vendor: VendorProfile) -> dict[str, Any]:
    key: dict[str, Any] = {
        "Type": "String",
        "AllowedPattern": _KEY_PATTERN,
        "ConstraintDescription": "Must be the full ARN of a key, as in the onboarding payload.",
    }
    return {
        vendor.role_parameter_name: build_role_parameter(vendor),
        S3_KEY_FIELD: {**key, "Description": "ARN of the S3 key."},
        RDS_KEY_FIELD: {**key, "Description": "ARN of the Aurora key."},
        "ExternalId": {
            "Type": "String",
            "Description": "The external id from the onboarding values, which the platform passes when it assumes "
            "this role.",
            "AllowedPattern": EXTERNAL_ID_PATTERN,
            "ConstraintDescription": EXTERNAL_ID_IN_WORDS,
        },
    }


def _role(vendor: VendorProfile) -> dict[str, Any]:
    keys = [Ref(S3_KEY_FIELD), Ref(RDS_KEY_FIELD)]
    aliases = [_aliases(which, parameter, vendor) for which, parameter in _PARAMETERS.items()]
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Description": f"Lets {vendor.name} put the tenant name on two KMS keys.",
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Sid": "PlatformWithTheExternalId",
                        "Effect": "Allow",
                        "Principal": {"AWS": Ref(vendor.role_parameter_name)},
                        "Action": "sts:AssumeRole",
                        "Condition": {"StringEquals": {"sts:ExternalId": Ref("ExternalId")}},
                    }
                ],
            },
            "Policies": [
                {
                    "PolicyName": "tenant-name-on-two-keys",
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Sid": "NameTheKeys",
                                "Effect": "Allow",
                                "Action": ["kms:CreateAlias", "kms:UpdateAlias"],
                                "Resource": [*keys, *aliases],
                            },
                            {
                                "Sid": "SeeTags",
                                "Effect": "Allow",
                                "Action": "kms:ListResourceTags",
                                "Resource": keys,
                            },
                            # Do not allow any other tags, because tags can control access to a key (KMS developer
                            # guide, "ABAC for AWS KMS").
                            {
                                "Sid": "TagTheKeys",
                                "Effect": "Allow",
                                "Action": "kms:TagResource",
                                "Resource": keys,
                                "Condition": {
                                    "ForAllValues:StringEquals": {"aws:TagKeys": list(vendor.tenant_tags)},
                                    "Null": {"aws:TagKeys": "false"},
                                },
                            },
                            # KMS has no narrower permission for listing aliases (service authorization reference, "AWS
                            # KMS").
                            {
                                "Sid": "SeeAliases",
                                "Effect": "Allow",
                                "Action": "kms:ListAliases",
                                "Resource": "*",
                            },
                        ],
                    },
                }
            ],
        },
    }


def _aliases(which: KeyPurpose, parameter: str, vendor: VendorProfile) -> IntrinsicFunction:
    """Return the ARN pattern of the aliases that the role may create for a key.

    The Region comes from the ARN of the key, because the role's stack can be in any Region.
    """
    beside = IntrinsicFunction("Select", 0, IntrinsicFunction("Split", ":key/", Ref(parameter)))
    return IntrinsicFunction("Join", "", [beside, f":{vendor.alias_pattern(which).replace(TENANT_PLACEHOLDER, '*')}"])


_HEADING: Final = """\
Optional: lets the {vendor} platform put your tenant name on your two KMS keys.

The role can create and update the two aliases, list aliases, read the tags of the two keys and set the tags for the
tenant name. The role cannot use, disable or delete the keys, or change their policies. To revoke the permission, delete
the stack."""
