"""The CloudFormation template that creates both keys with the right policies (contract 31-50, D12)."""

from typing import Any, Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import (
    Statement,
    StatementParameters,
    build_key_policy,
    build_key_statements,
    build_owner_statement,
)
from byok.domain.onboarding.customer_commands import ORGANISATION_PARAMETER
from byok.domain.onboarding.payload import RDS_KEY_FIELD, S3_KEY_FIELD
from byok.domain.scopes import ORGANISATION_PATTERN
from byok.domain.vendor import TENANT_PLACEHOLDER, VendorProfile
from byok.onboarding.cloudformation_yaml import GetAtt, IntrinsicFunction, Ref, Sub, dump_template

ROLE_ARN_ALLOWED_PATTERN: Final = r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+$"

_KEYS: Final = {KeyPurpose.S3: "S3Key", KeyPurpose.RDS: "RdsKey"}
_ALIASES: Final = {KeyPurpose.S3: "S3KeyAlias", KeyPurpose.RDS: "RdsKeyAlias"}
_PAYLOAD: Final = {S3_KEY_FIELD: "S3Key", RDS_KEY_FIELD: "RdsKey"}


def render_keys_template(vendor: VendorProfile) -> str:
    """Return the template's text. The text is the same for every customer; only the parameter values differ.

    The platform's account is not a parameter, because it is the fifth part of the role's ARN (contract 37).
    """
    resources: dict[str, Any] = {}
    for which in KeyPurpose:
        resources[_KEYS[which]] = _key(which, vendor)
    for which in KeyPurpose:
        resources[_ALIASES[which]] = _alias(which, vendor)
    return dump_template(
        {
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "Two KMS keys in your own account, for the S3 objects and the Aurora cluster of your "
            f"{vendor.name} environment. The keys are retained if you delete this stack.",
            "Metadata": _console_labels(vendor),
            "Parameters": _parameters(vendor),
            "Rules": _rules(),
            "Conditions": {name: _is_given(parameter) for name, parameter in _conditions(vendor).items()},
            "Resources": resources,
            "Outputs": _outputs(vendor),
        },
        _HEADING.format(vendor=vendor.name),
    )


def _conditions(vendor: VendorProfile) -> dict[str, str]:
    """Return the names of the template's conditions, each with the parameter that must have a value."""
    conditions = {"HasTenantName": "TenantName"}
    return conditions | ({"HasOrganisation": ORGANISATION_PARAMETER} if vendor.organisation_session_tag else {})


def _is_given(parameter: str) -> IntrinsicFunction:
    return IntrinsicFunction("Not", IntrinsicFunction("Equals", Ref(parameter), ""))


def build_role_parameter(vendor: VendorProfile) -> dict[str, Any]:
    """Return the parameter for the platform role's ARN, which is the same in every template (contract 34)."""
    return {
        "Type": "String",
        "Description": f"ARN of the IAM role of the {vendor.name} platform, which uses the keys through S3 and RDS.",
        "AllowedPattern": ROLE_ARN_ALLOWED_PATTERN,
        "ConstraintDescription": "Must be the full ARN of an IAM role, as in the onboarding values.",
    }


def _parameters(vendor: VendorProfile) -> dict[str, Any]:
    return {
        vendor.role_parameter_name: build_role_parameter(vendor),
        "PlatformRegion": {
            "Type": "String",
            "Description": "AWS Region of the environment. The keys and this stack must be in the same Region.",
            "AllowedPattern": "^[a-z]{2,4}(-[a-z]{2,10}){1,2}-[1-9][0-9]?$",
            "ConstraintDescription": "Must be an AWS Region name, such as eu-central-1.",
        },
        **_organisation_parameter(vendor),
        "TenantName": {
            "Type": "String",
            "Description": "Leave empty at first. Once the environment is ready, enter the tenant name. Both keys then "
            "get aliases and tags with this name. The keys themselves stay the same.",
            "Default": "",
            "AllowedPattern": f"^[A-Za-z0-9/_-]{{0,{vendor.tenant_name_max_length}}}$",
            "ConstraintDescription": f"At most {vendor.tenant_name_max_length} letters, digits, hyphens, underscores "
            "and slashes.",
        },
    }


def _organisation_parameter(vendor: VendorProfile) -> dict[str, Any]:
    """Return the parameter for the organisation, if the key policies require the session tag.

    The parameter has no default, so a customer cannot leave out the protection by mistake.
    """
    if not vendor.organisation_session_tag:
        return {}
    return {
        ORGANISATION_PARAMETER: {
            "Type": "String",
            "Description": "Your organisation's name, as in the onboarding values. The platform can use the keys "
            "only in sessions for this organisation.",
            "AllowedPattern": f"^$|{ORGANISATION_PATTERN}",
            "ConstraintDescription": "Must be up to 16 lower-case letters and digits, as in the onboarding values.",
        }
    }


def _rules() -> dict[str, Any]:
    """Return the rule that rejects a stack in another Region (contract 54).

    The platform could never use the keys in such a stack, and the keys would remain after the stack is deleted.
    """
    return {
        "KeysInTheRegionOfTheEnvironment": {
            "Assertions": [
                {
                    "Assert": IntrinsicFunction("Equals", Ref("AWS::Region"), Ref("PlatformRegion")),
                    "AssertDescription": "This stack is in a different Region from the environment, so nothing was "
                    "created. Start again in the Region that is specified in PlatformRegion: choose it at the top "
                    "right of the console, or with --region.",
                }
            ]
        }
    }


def _console_labels(vendor: VendorProfile) -> dict[str, Any]:
    return {
        "AWS::CloudFormation::Interface": {
            "ParameterGroups": [
                {
                    "Label": {"default": "From the onboarding values"},
                    "Parameters": [vendor.role_parameter_name, "PlatformRegion", *_organisation_parameter(vendor)],
                },
                {"Label": {"default": "After the environment is ready (optional)"}, "Parameters": ["TenantName"]},
            ]
        }
    }


def _key(which: KeyPurpose, vendor: VendorProfile) -> dict[str, Any]:
    role = vendor.role_parameter_name
    grantee = StatementParameters(
        role_arn=Ref(role),
        account=IntrinsicFunction("Select", 4, IntrinsicFunction("Split", ":", Ref(role))),
        via_s3=Sub("s3.${PlatformRegion}.amazonaws.com"),
        via_rds=Sub("rds.${PlatformRegion}.amazonaws.com"),
        # The vendor's own environments have no organisation, so their keys need no session tag.
        organisation=IntrinsicFunction("If", "HasOrganisation", Ref(ORGANISATION_PARAMETER), Ref("AWS::NoValue")),
    )
    owner: Statement = build_owner_statement(Sub("arn:${AWS::Partition}:iam::${AWS::AccountId}:root"))
    tags = [{"Key": key, "Value": Ref("TenantName")} for key in vendor.tenant_tags]
    return {
        "Type": "AWS::KMS::Key",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "Description": f"{vendor.name} BYOK: {which.encrypted_data}",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "EnableKeyRotation": True,
            "KeyPolicy": build_key_policy(owner, build_key_statements(which, grantee, vendor)),
            "Tags": IntrinsicFunction("If", "HasTenantName", tags, Ref("AWS::NoValue"), inline=False),
        },
    }


def _alias(which: KeyPurpose, vendor: VendorProfile) -> dict[str, Any]:
    return {
        "Type": "AWS::KMS::Alias",
        "Condition": "HasTenantName",
        "Properties": {
            "AliasName": Sub(vendor.alias_pattern(which).replace(TENANT_PLACEHOLDER, "${TenantName}")),
            "TargetKeyId": Ref(_KEYS[which]),
        },
    }


def _outputs(vendor: VendorProfile) -> dict[str, Any]:
    payload = ",".join(f'"{name}":"${{{resource}.Arn}}"' for name, resource in _PAYLOAD.items())
    return {
        vendor.payload_output_name: {
            "Description": "Both key ARNs. Use this value, unchanged, when you create the environment.",
            "Value": Sub(f"{{{payload}}}"),
        },
        "S3KeyArn": {"Description": "ARN of the S3 key.", "Value": GetAtt("S3Key.Arn")},
        "RdsKeyArn": {"Description": "ARN of the Aurora key.", "Value": GetAtt("RdsKey.Arn")},
    }


_HEADING: Final = """\
Bring Your Own Key: the two KMS keys of your {vendor} environment, in your own AWS account.

The first statement of each policy is AWS's default statement. This statement gives your account control of the key:
never remove it. The other statements let one platform role use the key, only through S3 or RDS and only in one
Region.
If you delete the stack, the keys are retained, because without the keys the data could no longer be read."""
