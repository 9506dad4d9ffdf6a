"""The local KMS takes and refuses the key policies that the offline check takes and refuses: there is one rule.

What condition operators there are is KMS's business alone: the check says of one that it does not know.
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from byok.domain.iam.check.document import PolicyDocumentError, parse_document
from localaws.kms.policies import default_policy
from localaws.state import CUSTOMER_ACCOUNT
from tests.localaws.server import REGION, AwsHarness

MALFORMED = "MalformedPolicyDocumentException"
OWNER: dict[str, Any] = default_policy(CUSTOMER_ACCOUNT, REGION)["Statement"][0]
RIGHT: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}


def with_statement(statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [OWNER, statement]})


def without(*elements: str, **more: Any) -> str:
    return with_statement({name: value for name, value in (RIGHT | more).items() if name not in elements})


MALFORMED_DOCUMENTS = {
    "no JSON": "{",
    "an array": json.dumps([OWNER]),
    "a text": json.dumps("policy"),
    "no statements": "{}",
    "an empty array": json.dumps({"Statement": []}),
    "another spelling of Statement": json.dumps({"statement": [OWNER]}),
    "a name twice": '{"Statement": [], "Statement": ' + json.dumps([OWNER]) + "}",
    "the whole answer of get-key-policy": json.dumps({"Policy": json.dumps({"Statement": [OWNER]})}),
    "a statement that is a text": with_statement("Allow"),
    "an unknown element": without(Actions="kms:*"),
    "a Sid that is a number": without(Sid=1),
    "no Effect": without("Effect"),
    "an Effect in small letters": without(Effect="allow"),
    "no Principal": without("Principal"),
    "Principal and NotPrincipal": without(NotPrincipal="*"),
    "a Principal that is a text": without(Principal="arn:aws:iam::111122223333:root"),
    "an empty Principal": without(Principal={}),
    "an empty list of principals": without(Principal={"AWS": []}),
    "a principal that is a number": without(Principal={"AWS": 111122223333}),
    "no Action": without("Action"),
    "no Resource": without("Resource"),
    "Action and NotAction": without(NotAction="kms:Encrypt"),
    "an action that is a number": without(Action=[1]),
    "Resource and NotResource": without(NotResource="*"),
    "a resource that is an object": without(Resource={"key": "*"}),
    "a Condition that is a list": without(Condition=["StringEquals"]),
    "an operator without keys": without(Condition={"StringEquals": "kms:ViaService"}),
    "a value that is an object": without(Condition={"StringEquals": {"kms:ViaService": {}}}),
    "another version": json.dumps({"Version": "2012-10-18", "Statement": [OWNER]}),
    "an element beside Statement": json.dumps({"Statement": [OWNER], "Comment": "ours"}),
    "a kind of principal that there is not": without(Principal={"aws": "111122223333"}),
    "an action without its service": without(Action="Decrypt"),
}
UNKNOWN_OPERATORS = ("StringIs", "ForSomeValue:StringEquals", "BoolNot", "NotStringEquals", "StringEqualsNot")
TAKEN_DOCUMENTS = {
    "the default policy": json.dumps(default_policy(CUSTOMER_ACCOUNT, REGION)),
    "one statement without an array": json.dumps({"Statement": OWNER}),
    "another statement": with_statement(RIGHT),
    "lists": without(Action=["kms:Decrypt"], Resource=["*"], Principal={"AWS": ["arn:aws:iam::999988887777:root"]}),
    "negations": without("Principal", "Action", "Resource", NotPrincipal={"AWS": "*"}, NotAction="a:*", NotResource=""),
    "a condition": without(Condition={"ForAnyValue:StringLikeIfExists": {"kms:ViaService": ["s3.*"]}}),
    "JSON's own values": without(Condition={"Bool": {"kms:GrantIsForAWSResource": True}, "NumericEquals": {"a:b": 1}}),
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


@pytest.mark.parametrize("operator", UNKNOWN_OPERATORS)
def test_operator_that_there_is_not_is_refused_by_kms(aws: AwsHarness, operator: str) -> None:
    assert not kms_accepts(aws, without(Condition={operator: {"kms:ViaService": "s3"}}))


@pytest.mark.parametrize("name", TAKEN_DOCUMENTS)
def test_well_formed_document_is_taken_by_both(aws: AwsHarness, name: str) -> None:
    text = TAKEN_DOCUMENTS[name]
    assert (check_accepts(text), kms_accepts(aws, text)) == (True, True)
