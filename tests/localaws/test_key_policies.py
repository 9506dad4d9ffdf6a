"""The local KMS and the offline check use the same rules, so they accept and reject the same key policies.

Condition operators are an exception: the local KMS refuses a policy with an unknown operator, but the check accepts the
policy and reports the operator.
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from byok.domain.iam.check.document import PolicyDocumentError, parse_document
from localaws.kms.policies import build_default_policy
from localaws.state import CUSTOMER_ACCOUNT
from tests.localaws.server import REGION, AwsHarness

MALFORMED = "MalformedPolicyDocumentException"
OWNER_STATEMENT: dict[str, Any] = build_default_policy(CUSTOMER_ACCOUNT, REGION)["Statement"][0]
VALID_STATEMENT: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}


def build_policy_with_statement(statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [OWNER_STATEMENT, statement]})


def build_policy_without(*elements: str, **more: Any) -> str:
    return build_policy_with_statement(
        {name: value for name, value in (VALID_STATEMENT | more).items() if name not in elements}
    )


MALFORMED_DOCUMENTS = {
    "invalid JSON": "{",
    "an array": json.dumps([OWNER_STATEMENT]),
    "a string": json.dumps("policy"),
    "no statements": "{}",
    "an empty array": json.dumps({"Statement": []}),
    "another spelling of Statement": json.dumps({"statement": [OWNER_STATEMENT]}),
    "a duplicate name": '{"Statement": [], "Statement": ' + json.dumps([OWNER_STATEMENT]) + "}",
    "the whole response of get-key-policy": json.dumps({"Policy": json.dumps({"Statement": [OWNER_STATEMENT]})}),
    "a statement that is a string": build_policy_with_statement("Allow"),
    "an unknown element": build_policy_without(Actions="kms:*"),
    "a Sid that is a number": build_policy_without(Sid=1),
    "no Effect": build_policy_without("Effect"),
    "a lower-case Effect": build_policy_without(Effect="allow"),
    "no Principal": build_policy_without("Principal"),
    "Principal and NotPrincipal": build_policy_without(NotPrincipal="*"),
    "a Principal that is a string": build_policy_without(Principal="arn:aws:iam::111122223333:root"),
    "an empty Principal": build_policy_without(Principal={}),
    "an empty list of principals": build_policy_without(Principal={"AWS": []}),
    "a principal that is a number": build_policy_without(Principal={"AWS": 111122223333}),
    "no Action": build_policy_without("Action"),
    "no Resource": build_policy_without("Resource"),
    "Action and NotAction": build_policy_without(NotAction="kms:Encrypt"),
    "an action that is a number": build_policy_without(Action=[1]),
    "Resource and NotResource": build_policy_without(NotResource="*"),
    "a resource that is an object": build_policy_without(Resource={"key": "*"}),
    "a Condition that is a list": build_policy_without(Condition=["StringEquals"]),
    "an operator without keys": build_policy_without(Condition={"StringEquals": "kms:ViaService"}),
    "a value that is an object": build_policy_without(Condition={"StringEquals": {"kms:ViaService": {}}}),
    "another version": json.dumps({"Version": "2012-10-18", "Statement": [OWNER_STATEMENT]}),
    "an element next to Statement": json.dumps({"Statement": [OWNER_STATEMENT], "Comment": "ours"}),
    "an unknown kind of principal": build_policy_without(Principal={"aws": "111122223333"}),
    "an action without its service": build_policy_without(Action="Decrypt"),
    "a root ARN with 9 digits": build_policy_without(Principal={"AWS": "arn:aws:iam::123456789:root"}),
    "a root ARN without iam": build_policy_without(Principal={"AWS": "arn:aws::444455556666:root"}),
    "an account's ARN without root": build_policy_without(Principal={"AWS": "arn:aws:iam::111122223333"}),
    "an account id with hyphens": build_policy_without(Principal={"AWS": "1111-2222-3333"}),
    "a role ARN with a wildcard": build_policy_without(Principal={"AWS": "arn:aws:iam::111122223333:role/*"}),
    "a group": build_policy_without(Principal={"AWS": "arn:aws:iam::111122223333:group/Admins"}),
    "a service as an AWS principal": build_policy_without(Principal={"AWS": ["s3.amazonaws.com"]}),
    "a placeholder": build_policy_without(Principal={"AWS": "<platform role ARN>"}),
    "an invalid principal in NotPrincipal": build_policy_without("Principal", NotPrincipal={"AWS": "Ann"}),
}
UNKNOWN_OPERATORS = ("StringIs", "ForSomeValue:StringEquals", "BoolNot", "NotStringEquals", "StringEqualsNot")
TAKEN_DOCUMENTS = {
    "the default policy": json.dumps(build_default_policy(CUSTOMER_ACCOUNT, REGION)),
    "one statement without an array": json.dumps({"Statement": OWNER_STATEMENT}),
    "another statement": build_policy_with_statement(VALID_STATEMENT),
    "every form of a principal": build_policy_without(
        Principal={
            "AWS": [
                *("*", "999988887777", "arn:aws:iam::999988887777:root", "arn:aws:iam::999988887777:user/path/Ann"),
                *("arn:aws:iam::999988887777:role/R", "arn:aws:sts::999988887777:assumed-role/R/session"),
                "arn:aws:sts::999988887777:federated-user/Ann",
            ],
            "Service": "rds.amazonaws.com",
        }
    ),
    "lists": build_policy_without(
        Action=["kms:Decrypt"], Resource=["*"], Principal={"AWS": ["arn:aws:iam::999988887777:root"]}
    ),
    "negations": build_policy_without(
        "Principal", "Action", "Resource", NotPrincipal={"AWS": "*"}, NotAction="a:*", NotResource=""
    ),
    "a condition": build_policy_without(Condition={"ForAnyValue:StringLikeIfExists": {"kms:ViaService": ["s3.*"]}}),
    "JSON's own values": build_policy_without(
        Condition={"Bool": {"kms:GrantIsForAWSResource": True}, "NumericEquals": {"a:b": 1}}
    ),
}


def check_accepts(text: str) -> bool:
    try:
        parse_document(text)
    except PolicyDocumentError:
        return False
    return True


def kms_accepts(aws: AwsHarness, text: str) -> bool:
    kms = aws.customer_client("kms")
    key = aws.create_key()
    try:
        kms.create_key(Policy=text)
    except kms.exceptions.MalformedPolicyDocumentException:
        with pytest.raises(ClientError, match=MALFORMED):
            kms.put_key_policy(KeyId=key, Policy=text)
        return False
    kms.put_key_policy(KeyId=key, Policy=text)
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"]) == json.loads(text)
    return True


@pytest.mark.parametrize("name", MALFORMED_DOCUMENTS)
def test_malformed_document_is_refused_by_both(aws: AwsHarness, name: str) -> None:
    text = MALFORMED_DOCUMENTS[name]
    assert (check_accepts(text), kms_accepts(aws, text)) == (False, False)


def test_id_of_a_deleted_principal_is_refused_in_a_new_policy(aws: AwsHarness) -> None:
    kms = aws.customer_client("kms")
    for principal in ("AIDAEXAMPLEDELETED123", "arn:aws:iam::123456789:root"):
        with pytest.raises(ClientError, match="one or more invalid principals") as caught:
            kms.create_key(Policy=build_policy_without(Principal={"AWS": principal}))
        assert caught.value.response["Error"]["Code"] == MALFORMED


@pytest.mark.parametrize("operator", UNKNOWN_OPERATORS)
def test_unknown_operator_is_refused_by_kms(aws: AwsHarness, operator: str) -> None:
    assert not kms_accepts(aws, build_policy_without(Condition={operator: {"kms:ViaService": "s3"}}))


@pytest.mark.parametrize("name", TAKEN_DOCUMENTS)
def test_well_formed_document_is_accepted_by_both(aws: AwsHarness, name: str) -> None:
    text = TAKEN_DOCUMENTS[name]
    assert (check_accepts(text), kms_accepts(aws, text)) == (True, True)


def build_statement(principal: str, actions: list[str] | str, sid: str = "One") -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions, "Resource": "*"}


USER, ROOT = f"arn:aws:iam::{CUSTOMER_ACCOUNT}:user/KeyAdministrator", f"arn:aws:iam::{CUSTOMER_ACCOUNT}:root"
READ_ONLY = ["kms:Describe*", "kms:Get*", "kms:List*"]


@pytest.mark.parametrize(
    "statements",
    [
        [build_statement(USER, "kms:*")],
        [build_statement(ROOT, READ_ONLY), build_statement(USER, "kms:*", "Two")],
        [build_statement(ROOT, "kms:PutKeyPolicy")],
    ],
    ids=["the caller alone", "the caller and a read-only account", "the account, and IAM allows the caller"],
)
def test_policy_that_its_caller_can_change_again_is_accepted(aws: AwsHarness, statements: list[Any]) -> None:
    kms, policy = aws.customer_client("kms"), json.dumps({"Version": "2012-10-17", "Statement": statements})

    key = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]

    kms.put_key_policy(KeyId=key, Policy=policy)


@pytest.mark.parametrize(
    "statements",
    [
        [build_statement(ROOT, READ_ONLY)],
        [build_statement(f"arn:aws:iam::{CUSTOMER_ACCOUNT}:user/AnotherAdministrator", "kms:*")],
    ],
    ids=["read-only for everyone", "another administrator"],
)
def test_policy_that_locks_its_caller_out_is_refused(aws: AwsHarness, statements: list[Any]) -> None:
    kms, policy = aws.customer_client("kms"), json.dumps({"Version": "2012-10-17", "Statement": statements})

    with pytest.raises(ClientError, match=f"{MALFORMED}.*will not allow you to update the key policy in the future"):
        kms.create_key(Policy=policy)
    with pytest.raises(ClientError, match=MALFORMED):
        kms.put_key_policy(KeyId=aws.create_key(), Policy=policy)
    kms.create_key(Policy=policy, BypassPolicyLockoutSafetyCheck=True)


def test_account_statement_locks_out_a_caller_whom_iam_does_not_allow(aws: AwsHarness) -> None:
    create = {"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*"}
    kms = aws.assumed_role_client("kms", aws.create_customer_role(create))

    with pytest.raises(ClientError, match="will not allow you to update the key policy in the future"):
        kms.create_key(Policy=json.dumps(build_default_policy(CUSTOMER_ACCOUNT, REGION)))
    kms.create_key()
