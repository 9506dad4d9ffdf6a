"""Stacks with IAM roles: the one that names a customer's keys, and what CloudFormation asks before it makes any."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from localaws.accounts import PLATFORM_ROLE_ARN
from tests.localaws.server import EXTERNAL_ID, AwsHarness
from tests.localaws.test_cloudformation import TEMPLATE as KEYS_ALONE
from tests.localaws.test_rds_clusters import error_of
from tests.localaws.test_s3_recorded import refusal_of

TEMPLATE: Final = Path(__file__).with_name("tenant-role.yaml").read_text()
STACK: Final = "byok-role"
IAM: Final = ["CAPABILITY_IAM"]
NAMED: Final = ["CAPABILITY_NAMED_IAM"]
TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": PLATFORM_ROLE_ARN}, "Action": "sts:AssumeRole"}],
}


def policy(action: str = "kms:ListAliases") -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def template_of_role(**properties: Any) -> str:
    """A template of one role with these properties, and its ARN as output."""
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST, **properties}}
    return json.dumps({"Resources": {"Role": role}, "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Role", "Arn"]}}}})


def make(aws: AwsHarness, template: str, **more: Any) -> dict[str, Any]:
    """Create the stack, or update it, and describe it."""
    cloudformation = aws.customer_client("cloudformation")
    there = [one["StackName"] for one in cloudformation.describe_stacks()["Stacks"]]
    act = cloudformation.update_stack if STACK in there else cloudformation.create_stack
    act(StackName=STACK, TemplateBody=template, Capabilities=NAMED, **more)
    return describe(aws)


def describe(aws: AwsHarness) -> dict[str, Any]:
    found: dict[str, Any] = aws.customer_client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    return found


def outputs(stack: dict[str, Any]) -> dict[str, str]:
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def reasons(aws: AwsHarness) -> list[str]:
    """Why resources failed, the latest first."""
    events = aws.customer_client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    failed = [one for one in events if one["ResourceStatus"].endswith("FAILED")]
    return [one["ResourceStatusReason"] for one in failed if one["ResourceType"] == "AWS::IAM::Role"]


def parameters(s3: str, rds: str, **more: str) -> list[dict[str, str]]:
    values = {
        "AtaccamaPlatformRoleArn": PLATFORM_ROLE_ARN,
        "S3KmsKeyArn": s3,
        "RdsKmsKeyArn": rds,
        "ExternalId": EXTERNAL_ID,
        **more,
    }
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def roles(aws: AwsHarness) -> list[str]:
    return [role["RoleName"] for role in aws.customer_client("iam").list_roles()["Roles"]]


def test_role_of_a_stack_is_taken_on_with_the_external_id_and_names_two_keys(aws: AwsHarness) -> None:
    s3, rds, third = aws.s3_key(), aws.rds_key(), aws.create_key()
    made = outputs(make(aws, TEMPLATE, Parameters=parameters(s3, rds)))
    role, sts = made["TenantRoleArn"], aws.platform_client("sts")

    assert refusal_of(sts.assume_role, RoleArn=role, RoleSessionName="worker", ExternalId="wrong")[0] == "AccessDenied"
    assert refusal_of(sts.assume_role, RoleArn=role, RoleSessionName="worker")[0] == "AccessDenied"
    kms = aws.assumed_role_client("kms", role)
    kms.create_alias(AliasName="alias/byok-acme", TargetKeyId=s3)
    kms.tag_resource(KeyId=rds, Tags=[{"TagKey": "aatn", "TagValue": "acme"}])

    assert [alias["AliasName"] for alias in kms.list_aliases(KeyId=s3)["Aliases"]] == ["alias/byok-acme"]
    assert refusal_of(kms.create_alias, AliasName="alias/byok-b", TargetKeyId=third)[0] == "AccessDeniedException"
    assert refusal_of(kms.delete_alias, AliasName="alias/byok-acme")[0] == "AccessDeniedException"
    assert refusal_of(kms.encrypt, KeyId=s3, Plaintext=b"x")[0] == "AccessDeniedException"


def test_role_is_called_as_the_stack_and_the_resource_unless_it_has_a_name(aws: AwsHarness) -> None:
    made = outputs(make(aws, TEMPLATE, Parameters=parameters(aws.s3_key(), aws.rds_key())))

    assert re.fullmatch(r"byok-role-TenantRole-[A-Za-z0-9]{12}", made["TenantRoleName"])
    role = aws.customer_client("iam").get_role(RoleName=made["TenantRoleName"])["Role"]
    assert (role["Arn"], role["RoleId"]) == (made["TenantRoleArn"], made["TenantRoleId"])
    assert role["Description"] == "Names two keys."
    condition = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    assert condition == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


def test_trust_policies_and_description_are_updated_in_place(aws: AwsHarness) -> None:
    s3, rds, iam = aws.s3_key(), aws.rds_key(), aws.customer_client("iam")
    before = outputs(make(aws, TEMPLATE, Parameters=parameters(s3, rds)))
    changed = parameters(s3, rds, ExternalId="another-word", Purpose="marking", RoleDescription="Marks two keys.")
    stack = make(aws, TEMPLATE, Parameters=changed, Tags=[{"Key": "team", "Value": "security"}])

    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert outputs(stack) == before
    role = iam.get_role(RoleName=before["TenantRoleName"])["Role"]
    assert (role["Description"], role["Tags"]) == ("Marks two keys.", [{"Key": "team", "Value": "security"}])
    assert iam.list_role_policies(RoleName=before["TenantRoleName"])["PolicyNames"] == ["marking"]
    aws.assumed_role_client("sts", before["TenantRoleArn"], "another-word").get_caller_identity()
    request = {"RoleArn": before["TenantRoleArn"], "RoleSessionName": "worker", "ExternalId": EXTERNAL_ID}
    assert refusal_of(aws.platform_client("sts").assume_role, **request)[0] == "AccessDenied"


def test_another_path_or_name_makes_another_role(aws: AwsHarness) -> None:
    first = outputs(make(aws, template_of_role()))["Arn"]
    second = outputs(make(aws, template_of_role(Path="/saas/")))["Arn"]
    third = outputs(make(aws, template_of_role(RoleName="Reconciler")))["Arn"]

    assert second.startswith("arn:aws:iam::444455556666:role/saas/byok-role-Role-")
    assert first != second
    assert third == "arn:aws:iam::444455556666:role/Reconciler"
    assert roles(aws) == ["Reconciler"], "the roles before it are gone"


def test_role_with_a_name_of_its_own_is_not_replaced(aws: AwsHarness) -> None:
    make(aws, template_of_role(RoleName="Reconciler"))

    assert (
        make(aws, template_of_role(RoleName="Reconciler", Path="/saas/"))["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    )

    assert "custom-named resource requires replacing. Rename Reconciler and update the stack again." in reasons(aws)[0]
    assert roles(aws) == ["Reconciler"]


def test_refused_update_gives_the_role_back_as_it_was(aws: AwsHarness) -> None:
    iam = aws.customer_client("iam")
    before = template_of_role(RoleName="Reconciler", Policies=[{"PolicyName": "list", "PolicyDocument": policy()}])
    make(aws, before)
    bad = {"PolicyName": "tag", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "kms:TagResource"}]}}

    status = make(aws, template_of_role(RoleName="Reconciler", Description="new", Policies=[bad]))["StackStatus"]

    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert "Policy statement must contain resources. (Service: Iam, Status Code: 400, " in reasons(aws)[0]
    assert iam.list_role_policies(RoleName="Reconciler")["PolicyNames"] == ["list"]
    assert iam.get_role(RoleName="Reconciler")["Role"].get("Description", "") == ""


def test_refused_creation_leaves_no_role_behind(aws: AwsHarness) -> None:
    bad = {"PolicyName": "tag", "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "kms:TagResource"}]}}

    assert make(aws, template_of_role(Policies=[bad]))["StackStatus"] == "ROLLBACK_COMPLETE"

    assert "HandlerErrorCode: InvalidRequest" in reasons(aws)[0]
    assert roles(aws) == []


def test_taken_name_fails_the_stack_and_leaves_the_other_role(aws: AwsHarness) -> None:
    aws.customer_client("iam").create_role(RoleName="Reconciler", AssumeRolePolicyDocument=json.dumps(TRUST))

    assert make(aws, template_of_role(RoleName="Reconciler"))["StackStatus"] == "ROLLBACK_COMPLETE"

    assert "Role with name Reconciler already exists. (Service: Iam, Status Code: 409, " in reasons(aws)[0]
    assert "HandlerErrorCode: AlreadyExists" in reasons(aws)[0]
    assert roles(aws) == ["Reconciler"]


def test_deleting_the_stack_takes_the_permission_back(aws: AwsHarness) -> None:
    template = template_of_role(Policies=[{"PolicyName": "list", "PolicyDocument": policy()}])
    arn = outputs(make(aws, template))["Arn"]
    kms = aws.assumed_role_client("kms", arn)
    kms.list_aliases()

    aws.customer_client("cloudformation").delete_stack(StackName=STACK)

    assert roles(aws) == []
    assert refusal_of(kms.list_aliases)[0] == "UnrecognizedClientException"
    assert (
        refusal_of(aws.platform_client("sts").assume_role, RoleArn=arn, RoleSessionName="worker")[0] == "AccessDenied"
    )


def test_role_that_was_given_more_by_hand_is_not_deleted(aws: AwsHarness) -> None:
    make(aws, template_of_role(RoleName="Reconciler"))
    aws.customer_client("iam").put_role_policy(
        RoleName="Reconciler", PolicyName="by-hand", PolicyDocument=json.dumps(policy("kms:*"))
    )

    aws.customer_client("cloudformation").delete_stack(StackName=STACK)

    assert describe(aws)["StackStatus"] == "DELETE_FAILED"
    assert "Cannot delete entity, must delete policies first. (Service: Iam, Status Code: 409, " in reasons(aws)[0]


@pytest.mark.parametrize(
    ("template", "given", "wanted"),
    [
        (template_of_role(), [], "CAPABILITY_IAM"),
        (template_of_role(RoleName="Reconciler"), [], "CAPABILITY_NAMED_IAM"),
        (template_of_role(RoleName="Reconciler"), IAM, "CAPABILITY_NAMED_IAM"),
    ],
)
def test_role_has_to_be_acknowledged(aws: AwsHarness, template: str, given: list[str], wanted: str) -> None:
    cloudformation = aws.customer_client("cloudformation")
    asked = {"StackName": STACK, "TemplateBody": template, "Capabilities": given}
    told = ("InsufficientCapabilitiesException", f"Requires capabilities : [{wanted}]")

    assert error_of(cloudformation.create_stack, **asked) == told
    assert error_of(cloudformation.create_change_set, **asked, ChangeSetName="a", ChangeSetType="CREATE") == told
    assert cloudformation.describe_stacks()["Stacks"] == []
    make(aws, template)
    again = {"StackName": STACK, "UsePreviousTemplate": True, "Capabilities": given}
    assert error_of(cloudformation.update_stack, **again) == told


def test_either_capability_covers_a_role_without_a_name(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    for name, given in (("one", IAM), ("two", NAMED)):
        cloudformation.create_stack(StackName=name, TemplateBody=template_of_role(), Capabilities=given)
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        assert (stack["StackStatus"], stack["Capabilities"]) == ("CREATE_COMPLETE", given)


def test_needed_capability_and_its_reason_are_told_beforehand(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    for ask in (cloudformation.validate_template, cloudformation.get_template_summary):
        unnamed, named, keys = (
            ask(TemplateBody=one) for one in (template_of_role(), template_of_role(RoleName="R"), KEYS_ALONE)
        )
        assert unnamed["Capabilities"] == IAM
        assert named["Capabilities"] == NAMED
        assert named["CapabilitiesReason"] == "The following resource(s) require capabilities: [AWS::IAM::Role]"
        assert (keys.get("Capabilities", []), "CapabilitiesReason" in keys) == ([], False)  # contract 43


def test_change_set_tells_of_a_replacement(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    make(aws, template_of_role(Path="/saas/"))
    cloudformation.create_change_set(
        StackName=STACK, ChangeSetName="next", TemplateBody=template_of_role(), Capabilities=IAM
    )
    change = cloudformation.describe_change_set(StackName=STACK, ChangeSetName="next")["Changes"][0]["ResourceChange"]
    assert (change["ResourceType"], change["Action"], change["Replacement"]) == ("AWS::IAM::Role", "Modify", "True")


@pytest.mark.parametrize("name", ["ManagedPolicyArns", "PermissionsBoundary"])
def test_property_that_is_not_modelled_is_refused_by_name(aws: AwsHarness, name: str) -> None:
    create = aws.customer_client("cloudformation").create_stack
    code, message = error_of(create, StackName=STACK, TemplateBody=template_of_role(**{name: "x"}), Capabilities=NAMED)
    assert (code, f"does not model {name} of AWS::IAM::Role" in message) == ("NotImplemented", True)


def test_who_may_make_no_role_makes_none_through_a_stack(aws: AwsHarness) -> None:
    statement = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}
    cloudformation = aws.assumed_role_client("cloudformation", aws.customer_role(statement))
    cloudformation.create_stack(StackName=STACK, TemplateBody=template_of_role(RoleName="Admin"), Capabilities=NAMED)

    assert describe(aws)["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "because no identity-based policy allows the iam:CreateRole action (Service: Iam" in reasons(aws)[0]
    assert roles(aws) == ["Reconciler"]
