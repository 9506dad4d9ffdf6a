"""IAM roles: the calls that the local IAM accepts or rejects, and the error messages."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from localaws.accounts import PLATFORM_ROLE_ARN, PLATFORM_ROLE_NAME
from localaws.state import STATE
from tests.localaws.server import EXTERNAL_ID, AwsHarness
from tests.localaws.test_s3_recorded import catch_error_with_status


def build_policy(**changed: Any) -> str:
    """Build a policy with one statement, without members that are None."""
    statement = {"Effect": "Allow", "Action": "kms:ListAliases", "Resource": "*", **changed}
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": kept})


def build_trust_policy(**changed: Any) -> str:
    given = {"Action": "sts:AssumeRole", "Principal": {"AWS": PLATFORM_ROLE_ARN}, "Resource": None, **changed}
    return build_policy(**given)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("{", "This policy contains invalid Json"),
        ("[]", "Syntax errors in policy."),
        (build_trust_policy(Effect="Maybe"), "Syntax errors in policy."),
        (build_trust_policy(Resource="*"), "Has prohibited field Resource"),
        (build_trust_policy(Principal=None), "Missing required field Principal"),
        (build_trust_policy(Action="s3:GetObject"), "AssumeRole policy may only specify STS AssumeRole actions."),
        (
            build_trust_policy(Principal={"AWS": f"{PLATFORM_ROLE_ARN}x"}),
            f'Invalid principal in policy: "AWS":"{PLATFORM_ROLE_ARN}x"',
        ),
        (
            build_trust_policy(Condition={"StringEqual": {"sts:ExternalId": "x"}}),
            "the condition operator StringEqual is unknown",
        ),
    ],
)
def test_invalid_trust_policy_is_refused(aws: AwsHarness, policy: str, message: str) -> None:
    iam = aws.customer_client("iam")
    malformed = ("MalformedPolicyDocument", 400, message)
    assert catch_error_with_status(iam.create_role, RoleName="R", AssumeRolePolicyDocument=policy) == malformed
    iam.create_role(RoleName="R", AssumeRolePolicyDocument=build_trust_policy())
    assert catch_error_with_status(iam.update_assume_role_policy, RoleName="R", PolicyDocument=policy) == malformed


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (build_policy(Principal="*"), "Policy document should not specify a principal."),
        (build_policy(Resource=None), "Policy statement must contain resources."),
        (build_policy(Resource=[]), "Policy statement must contain resources."),
        (build_policy(Action=None), "Policy statement must contain actions."),
        (build_policy(Who="*"), "Syntax errors in policy."),
    ],
)
def test_invalid_inline_policy_is_refused(aws: AwsHarness, policy: str, message: str) -> None:
    aws.create_customer_role()
    put = aws.customer_client("iam").put_role_policy
    told = catch_error_with_status(put, RoleName="Reconciler", PolicyName="p", PolicyDocument=policy)
    assert told == ("MalformedPolicyDocument", 400, message)


def test_role_name_is_unique_across_paths(aws: AwsHarness) -> None:
    iam = aws.customer_client("iam")
    iam.create_role(RoleName="R", Path="/saas/", AssumeRolePolicyDocument=build_trust_policy())

    taken = catch_error_with_status(iam.create_role, RoleName="R", AssumeRolePolicyDocument=build_trust_policy())

    assert taken == ("EntityAlreadyExists", 409, "Role with name R already exists.")
    assert [role["Arn"] for role in iam.list_roles(PathPrefix="/saas/")["Roles"]] == [
        "arn:aws:iam::444455556666:role/saas/R"
    ]


@pytest.mark.parametrize(
    "wrong", [{"RoleName": "a b"}, {"RoleName": "R", "Path": "saas"}, {"RoleName": "R", "MaxSessionDuration": 43201}]
)
def test_invalid_role_is_refused(aws: AwsHarness, wrong: dict[str, Any]) -> None:
    create = aws.customer_client("iam").create_role
    assert catch_error_with_status(create, AssumeRolePolicyDocument=build_trust_policy(), **wrong)[:2] == (
        "ValidationError",
        400,
    )


def test_missing_role_is_named(aws: AwsHarness) -> None:
    iam, told = aws.customer_client("iam"), ("NoSuchEntity", 404, "The role with name R cannot be found.")
    assert catch_error_with_status(iam.get_role, RoleName="R") == told
    assert catch_error_with_status(iam.delete_role, RoleName="R") == told


def test_role_is_deleted_after_its_policies(aws: AwsHarness) -> None:
    aws.create_customer_role(json.loads(build_policy())["Statement"])
    iam = aws.customer_client("iam")

    conflict = catch_error_with_status(iam.delete_role, RoleName="Reconciler")
    iam.delete_role_policy(RoleName="Reconciler", PolicyName="work")
    iam.delete_role(RoleName="Reconciler")

    assert conflict == ("DeleteConflict", 409, "Cannot delete entity, must delete policies first.")
    assert iam.list_roles()["Roles"] == []


def test_role_tag_keys_are_case_insensitive(aws: AwsHarness) -> None:
    aws.create_customer_role()
    iam = aws.customer_client("iam")
    iam.tag_role(RoleName="Reconciler", Tags=[{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": "b"}])
    iam.untag_role(RoleName="Reconciler", TagKeys=["cost"])

    assert iam.list_role_tags(RoleName="Reconciler")["Tags"] == [{"Key": "team", "Value": "a"}]
    twice = [{"Key": "team", "Value": "a"}, {"Key": "Team", "Value": "b"}]
    assert catch_error_with_status(iam.tag_role, RoleName="Reconciler", Tags=twice)[0] == "InvalidInput"


def test_session_duration_is_limited_by_the_role_and_by_role_chaining(aws: AwsHarness) -> None:
    arn = aws.create_customer_role()
    aws.customer_client("iam").update_role(RoleName="Reconciler", MaxSessionDuration=7200)
    asked = {"RoleArn": arn, "RoleSessionName": "worker", "ExternalId": EXTERNAL_ID}
    own = {"RoleArn": PLATFORM_ROLE_ARN, "RoleSessionName": "worker"}

    chained = catch_error_with_status(aws.platform_client("sts").assume_role, **asked, DurationSeconds=3601)
    too_long = catch_error_with_status(aws.operator_client("sts").assume_role, **own, DurationSeconds=7200)

    words = "The requested DurationSeconds exceeds the {}."
    chaining = "1 hour session limit for roles assumed by role chaining"
    assert chained == ("ValidationError", 400, words.format(chaining))
    assert too_long == ("ValidationError", 400, words.format("MaxSessionDuration set for this role"))


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        ("kms", "list_aliases", "ExpiredTokenException", 400),
        ("s3", "list_buckets", "ExpiredToken", 400),
        ("sts", "get_caller_identity", "ExpiredToken", 403),
    ],
)
def test_expired_session_is_refused(aws: AwsHarness, service: str, call: str, code: str, status: int) -> None:
    client = aws.assumed_role_client(service, aws.create_customer_role())
    for session in STATE.sessions.values():
        session.expires = datetime.now(UTC)

    assert catch_error_with_status(getattr(client, call))[:2] == (code, status)


def test_only_permitted_callers_create_and_change_roles(aws: AwsHarness) -> None:
    iam = aws.platform_client("iam")

    changed = catch_error_with_status(
        iam.put_role_policy, RoleName=PLATFORM_ROLE_NAME, PolicyName="all", PolicyDocument=build_policy()
    )
    made = catch_error_with_status(iam.create_role, RoleName="R", AssumeRolePolicyDocument=build_trust_policy())

    because = "because no identity-based policy allows the iam:{} action"
    assert changed[2].endswith(f"on resource: role {PLATFORM_ROLE_NAME} {because.format('PutRolePolicy')}")
    assert made[2].endswith(f"on resource: arn:aws:iam::111122223333:role/R {because.format('CreateRole')}")
    assert (changed[:2], made[:2]) == (("AccessDenied", 403), ("AccessDenied", 403))


def test_trusted_account_delegates_to_the_callers_policy(aws: AwsHarness) -> None:
    account = {"AWS": "arn:aws:iam::444455556666:root"}
    arn = aws.customer_client("iam").create_role(
        RoleName="Own", AssumeRolePolicyDocument=build_trust_policy(Principal=account)
    )
    without = aws.assumed_role_client("sts", aws.create_customer_role())
    request = {"RoleArn": arn["Role"]["Arn"], "RoleSessionName": "worker"}

    assert catch_error_with_status(without.assume_role, **request)[0] == "AccessDenied"
    assert (
        aws.customer_client("sts").assume_role(**request)["AssumedRoleUser"]["Arn"].endswith("assumed-role/Own/worker")
    )
