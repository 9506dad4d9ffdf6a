"""Stacks with IAM roles: the tenant role, and the capabilities that CloudFormation requires to create a role."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from localaws.accounts import PLATFORM_ROLE_ARN
from tests.localaws.server import EXTERNAL_ID, AwsHarness
from tests.localaws.test_cloudformation import TEMPLATE as KEYS_ALONE
from tests.localaws.test_rds_clusters import catch_error
from tests.localaws.test_s3_recorded import catch_error_with_status

TEMPLATE: Final = Path(__file__).with_name("tenant-role.yaml").read_text()
STACK_NAME: Final = "byok-role"
IAM_CAPABILITIES: Final = ["CAPABILITY_IAM"]
NAMED_IAM_CAPABILITIES: Final = ["CAPABILITY_NAMED_IAM"]
TRUST_POLICY: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": PLATFORM_ROLE_ARN}, "Action": "sts:AssumeRole"}],
}


def build_policy(action: str = "kms:ListAliases") -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def build_role_template(**properties: Any) -> str:
    """Build a template that creates a role with these properties and outputs the role's ARN."""
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST_POLICY, **properties}}
    return json.dumps({"Resources": {"Role": role}, "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}}})


def deploy_stack(aws: AwsHarness, template: str, **more: Any) -> dict[str, Any]:
    """Create or update the stack, and return its description."""
    cloudformation = aws.customer_client("cloudformation")
    there = [one["StackName"] for one in cloudformation.describe_stacks()["Stacks"]]
    act = cloudformation.update_stack if STACK_NAME in there else cloudformation.create_stack
    act(StackName=STACK_NAME, TemplateBody=template, Capabilities=NAMED_IAM_CAPABILITIES, **more)
    return describe_stack(aws)


def describe_stack(aws: AwsHarness) -> dict[str, Any]:
    found: dict[str, Any] = aws.customer_client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    return found


def parse_outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def list_role_failure_reasons(aws: AwsHarness) -> list[str]:
    """List the reasons why resources failed, latest failure first."""
    events = aws.customer_client("cloudformation").describe_stack_events(StackName=STACK_NAME)["StackEvents"]
    failed = [one for one in events if one["ResourceStatus"].endswith("FAILED")]
    return [one["ResourceStatusReason"] for one in failed if one["ResourceType"] == "AWS::IAM::Role"]


def build_parameters(s3: str, rds: str, **more: str) -> list[dict[str, str]]:
    values = {
        "AtaccamaPlatformRoleArn": PLATFORM_ROLE_ARN,
        "S3KmsKeyArn": s3,
        "RdsKmsKeyArn": rds,
        "ExternalId": EXTERNAL_ID,
        **more,
    }
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def list_role_names(aws: AwsHarness) -> list[str]:
    return [role["RoleName"] for role in aws.customer_client("iam").list_roles()["Roles"]]


def test_stack_role_is_assumed_with_the_external_id_and_marks_two_keys(aws: AwsHarness) -> None:
    s3, rds, third = aws.create_s3_key(), aws.create_rds_key(), aws.create_key()
    made = parse_outputs(deploy_stack(aws, TEMPLATE, Parameters=build_parameters(s3, rds)))
    role, sts = made["TenantRoleArn"], aws.platform_client("sts")

    assert (
        catch_error_with_status(sts.assume_role, RoleArn=role, RoleSessionName="worker", ExternalId="wrong")[0]
        == "AccessDenied"
    )
    assert catch_error_with_status(sts.assume_role, RoleArn=role, RoleSessionName="worker")[0] == "AccessDenied"
    kms = aws.assumed_role_client("kms", role)
    kms.create_alias(AliasName="alias/byok-acme", TargetKeyId=s3)
    kms.tag_resource(KeyId=rds, Tags=[{"TagKey": "aatn", "TagValue": "acme"}])

    assert [alias["AliasName"] for alias in kms.list_aliases(KeyId=s3)["Aliases"]] == ["alias/byok-acme"]
    assert (
        catch_error_with_status(kms.create_alias, AliasName="alias/byok-b", TargetKeyId=third)[0]
        == "AccessDeniedException"
    )
    assert catch_error_with_status(kms.delete_alias, AliasName="alias/byok-acme")[0] == "AccessDeniedException"
    assert catch_error_with_status(kms.encrypt, KeyId=s3, Plaintext=b"x")[0] == "AccessDeniedException"


def test_generated_role_name_contains_stack_and_resource(aws: AwsHarness) -> None:
    made = parse_outputs(
        deploy_stack(aws, TEMPLATE, Parameters=build_parameters(aws.create_s3_key(), aws.create_rds_key()))
    )

    assert re.fullmatch(r"byok-role-TenantRole-[A-Za-z0-9]{12}", made["TenantRoleName"])
    role = aws.customer_client("iam").get_role(RoleName=made["TenantRoleName"])["Role"]
    assert (role["Arn"], role["RoleId"]) == (made["TenantRoleArn"], made["TenantRoleId"])
    assert role["Description"] == "Names two keys."
    condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    assert condition == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


def test_trust_policies_and_description_are_updated_in_place(aws: AwsHarness) -> None:
    s3, rds, iam = aws.create_s3_key(), aws.create_rds_key(), aws.customer_client("iam")
    before = parse_outputs(deploy_stack(aws, TEMPLATE, Parameters=build_parameters(s3, rds)))
    changed = build_parameters(s3, rds, ExternalId="another-word", Purpose="marking", RoleDescription="Marks two keys.")
    stack = deploy_stack(aws, TEMPLATE, Parameters=changed, Tags=[{"Key": "team", "Value": "security"}])

    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert parse_outputs(stack) == before
    role = iam.get_role(RoleName=before["TenantRoleName"])["Role"]
    assert (role["Description"], role["Tags"]) == ("Marks two keys.", [{"Key": "team", "Value": "security"}])
    assert iam.list_role_policies(RoleName=before["TenantRoleName"])["PolicyNames"] == ["marking"]
    aws.assumed_role_client("sts", before["TenantRoleArn"], "another-word").get_caller_identity()
    request = {"RoleArn": before["TenantRoleArn"], "RoleSessionName": "worker", "ExternalId": EXTERNAL_ID}
    assert catch_error_with_status(aws.platform_client("sts").assume_role, **request)[0] == "AccessDenied"


def test_new_path_or_name_replaces_the_role(aws: AwsHarness) -> None:
    first = parse_outputs(deploy_stack(aws, build_role_template()))["Arn"]
    second = parse_outputs(deploy_stack(aws, build_role_template(Path="/saas/")))["Arn"]
    third = parse_outputs(deploy_stack(aws, build_role_template(RoleName="Reconciler")))["Arn"]

    assert second.startswith("arn:aws:iam::444455556666:role/saas/byok-role-Role-")
    assert first != second
    assert third == "arn:aws:iam::444455556666:role/Reconciler"
    assert list_role_names(aws) == ["Reconciler"], "the earlier roles are deleted"


def test_custom_named_role_is_not_replaced(aws: AwsHarness) -> None:
    deploy_stack(aws, build_role_template(RoleName="Reconciler"))

    assert (
        deploy_stack(aws, build_role_template(RoleName="Reconciler", Path="/saas/"))["StackStatus"]
        == "UPDATE_ROLLBACK_COMPLETE"
    )

    assert (
        "custom-named resource requires replacing. Rename Reconciler and update the stack again."
        in list_role_failure_reasons(aws)[0]
    )
    assert list_role_names(aws) == ["Reconciler"]


def test_refused_update_restores_the_role(aws: AwsHarness) -> None:
    iam = aws.customer_client("iam")
    before = build_role_template(
        RoleName="Reconciler", Policies=[{"PolicyName": "list", "PolicyDocument": build_policy()}]
    )
    deploy_stack(aws, before)
    bad = {"PolicyName": "tag", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "kms:TagResource"}]}}

    status = deploy_stack(aws, build_role_template(RoleName="Reconciler", Description="new", Policies=[bad]))[
        "StackStatus"
    ]

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert (
        "Policy statement must contain resources. (Service: Iam, Status Code: 400, "
        in list_role_failure_reasons(aws)[0]
    )
    assert iam.list_role_policies(RoleName="Reconciler")["PolicyNames"] == ["list"]
    assert iam.get_role(RoleName="Reconciler")["Role"].get("Description", "") == ""


def test_refused_creation_leaves_no_role_behind(aws: AwsHarness) -> None:
    bad = {"PolicyName": "tag", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "kms:TagResource"}]}}

    assert deploy_stack(aws, build_role_template(Policies=[bad]))["StackStatus"] == "ROLLBACK_COMPLETE"

    assert "HandlerErrorCode: InvalidRequest" in list_role_failure_reasons(aws)[0]
    assert list_role_names(aws) == []


def test_existing_name_fails_the_stack_and_keeps_the_other_role(aws: AwsHarness) -> None:
    aws.customer_client("iam").create_role(RoleName="Reconciler", AssumeRolePolicyDocument=json.dumps(TRUST_POLICY))

    assert deploy_stack(aws, build_role_template(RoleName="Reconciler"))["StackStatus"] == "ROLLBACK_COMPLETE"

    assert (
        "Role with name Reconciler already exists. (Service: Iam, Status Code: 409, "
        in list_role_failure_reasons(aws)[0]
    )
    assert "HandlerErrorCode: AlreadyExists" in list_role_failure_reasons(aws)[0]
    assert list_role_names(aws) == ["Reconciler"]


def test_deleting_the_stack_revokes_the_permission(aws: AwsHarness) -> None:
    template = build_role_template(Policies=[{"PolicyName": "list", "PolicyDocument": build_policy()}])
    arn = parse_outputs(deploy_stack(aws, template))["Arn"]
    kms = aws.assumed_role_client("kms", arn)
    kms.list_aliases()

    aws.customer_client("cloudformation").delete_stack(StackName=STACK_NAME)

    assert list_role_names(aws) == []
    assert catch_error_with_status(kms.list_aliases)[0] == "UnrecognizedClientException"
    assert (
        catch_error_with_status(aws.platform_client("sts").assume_role, RoleArn=arn, RoleSessionName="worker")[0]
        == "AccessDenied"
    )


def test_role_with_added_policies_is_not_deleted(aws: AwsHarness) -> None:
    deploy_stack(aws, build_role_template(RoleName="Reconciler"))
    aws.customer_client("iam").put_role_policy(
        RoleName="Reconciler", PolicyName="by-hand", PolicyDocument=json.dumps(build_policy("kms:*"))
    )

    aws.customer_client("cloudformation").delete_stack(StackName=STACK_NAME)

    assert describe_stack(aws)["StackStatus"] == "DELETE_FAILED"
    assert (
        "Cannot delete entity, must delete policies first. (Service: Iam, Status Code: 409, "
        in list_role_failure_reasons(aws)[0]
    )


@pytest.mark.parametrize(
    ("template", "given", "wanted"),
    [
        (build_role_template(), [], "CAPABILITY_IAM"),
        (build_role_template(RoleName="Reconciler"), [], "CAPABILITY_NAMED_IAM"),
        (build_role_template(RoleName="Reconciler"), IAM_CAPABILITIES, "CAPABILITY_NAMED_IAM"),
    ],
)
def test_role_requires_a_capability(aws: AwsHarness, template: str, given: list[str], wanted: str) -> None:
    cloudformation = aws.customer_client("cloudformation")
    asked = {"StackName": STACK_NAME, "TemplateBody": template, "Capabilities": given}
    told = ("InsufficientCapabilitiesException", f"Requires capabilities : [{wanted}]")

    assert catch_error(cloudformation.create_stack, **asked) == told
    assert catch_error(cloudformation.create_change_set, **asked, ChangeSetName="a", ChangeSetType="CREATE") == told
    assert cloudformation.describe_stacks()["Stacks"] == []
    deploy_stack(aws, template)
    again = {"StackName": STACK_NAME, "UsePreviousTemplate": True, "Capabilities": given}
    assert catch_error(cloudformation.update_stack, **again) == told


def test_either_capability_covers_an_unnamed_role(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    for name, given in (("one", IAM_CAPABILITIES), ("two", NAMED_IAM_CAPABILITIES)):
        cloudformation.create_stack(StackName=name, TemplateBody=build_role_template(), Capabilities=given)
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        assert (stack["StackStatus"], stack["Capabilities"]) == ("CREATE_COMPLETE", given)


def test_required_capability_and_reason_are_reported_in_advance(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    for ask in (cloudformation.validate_template, cloudformation.get_template_summary):
        unnamed, named, keys = (
            ask(TemplateBody=one) for one in (build_role_template(), build_role_template(RoleName="R"), KEYS_ALONE)
        )
        assert unnamed["Capabilities"] == IAM_CAPABILITIES
        assert named["Capabilities"] == NAMED_IAM_CAPABILITIES
        assert named["CapabilitiesReason"] == "The following resource(s) require capabilities: [AWS::IAM::Role]"
        assert (keys.get("Capabilities", []), "CapabilitiesReason" in keys) == ([], False)  # contract 43


def test_change_set_reports_a_replacement(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    deploy_stack(aws, build_role_template(Path="/saas/"))
    cloudformation.create_change_set(
        StackName=STACK_NAME, ChangeSetName="next", TemplateBody=build_role_template(), Capabilities=IAM_CAPABILITIES
    )
    change = cloudformation.describe_change_set(StackName=STACK_NAME, ChangeSetName="next")["Changes"][0][
        "ResourceChange"
    ]
    assert (change["ResourceType"], change["Action"], change["Replacement"]) == ("AWS::IAM::Role", "Modify", "True")


@pytest.mark.parametrize("name", ["ManagedPolicyArns", "PermissionsBoundary"])
def test_unmodelled_property_is_refused_by_name(aws: AwsHarness, name: str) -> None:
    create = aws.customer_client("cloudformation").create_stack
    code, message = catch_error(
        create,
        StackName=STACK_NAME,
        TemplateBody=build_role_template(**{name: "x"}),
        Capabilities=NAMED_IAM_CAPABILITIES,
    )
    assert (code, f"does not model {name} of AWS::IAM::Role" in message) == ("NotImplemented", True)


def test_caller_without_create_role_permission_creates_none_through_a_stack(aws: AwsHarness) -> None:
    statement = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}
    cloudformation = aws.assumed_role_client("cloudformation", aws.create_customer_role(statement))
    cloudformation.create_stack(
        StackName=STACK_NAME, TemplateBody=build_role_template(RoleName="Admin"), Capabilities=NAMED_IAM_CAPABILITIES
    )

    assert describe_stack(aws)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert (
        "because no identity-based policy allows the iam:CreateRole action (Service: Iam"
        in list_role_failure_reasons(aws)[0]
    )
    assert list_role_names(aws) == ["Reconciler"]
