"""Changes to aliases and tags in the customer's account by a role whose policy allows changes only to two keys."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.localaws.server import REGION, AwsHarness
from tests.localaws.test_s3_recorded import catch_error_with_status

ALIASES = f"arn:aws:kms:{REGION}:444455556666:alias"
SESSION = "arn:aws:sts::444455556666:assumed-role/Reconciler/worker"
ON_KEYS = ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias", "kms:TagResource", "kms:ListResourceTags"]
TAG = {"TagKey": "aatn", "TagValue": "acme"}


@dataclass(frozen=True)
class KeysAndClients:
    """Two keys that the role is allowed to change, a third key, and clients for the role and for the owner."""

    s3: str
    rds: str
    third: str
    role: Any
    owner: Any


def allow_statement(actions: list[str] | str, resources: list[str] | str, **conditions: Any) -> dict[str, Any]:
    condition = {"Condition": conditions} if conditions else {}
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **condition}


def build_access_denied_error(action: str, resource: str, kind: str = "identity-based") -> tuple[str, int, str]:
    """Return the code, HTTP status and message of KMS's access-denied error."""
    because = f"because no {kind} policy allows the kms:{action} action"
    message = f"User: {SESSION} is not authorized to perform: kms:{action} on resource: {resource} {because}"
    return ("AccessDeniedException", 400, message)


@pytest.fixture
def keys(aws: AwsHarness) -> KeysAndClients:
    """Three keys, and a role that is allowed to manage a tenant's aliases and the tags of two of the keys."""
    s3, rds, third = aws.create_s3_key(), aws.create_rds_key(), aws.create_key()
    arn = aws.create_customer_role(
        allow_statement(ON_KEYS, [s3, rds, f"{ALIASES}/byok-*"]),
        allow_statement(["kms:ListAliases", "kms:ListKeys"], "*"),
    )
    return KeysAndClients(s3, rds, third, aws.assumed_role_client("kms", arn), aws.customer_client("kms"))


def list_alias_targets(kms: Any) -> dict[str, str]:
    return {alias["AliasName"]: alias["TargetKeyId"] for alias in kms.list_aliases()["Aliases"]}


def test_role_may_change_the_keys_that_its_policy_names(keys: KeysAndClients) -> None:
    keys.role.create_alias(AliasName="alias/byok-acme", TargetKeyId=keys.s3)
    assert list_alias_targets(keys.role) == {"alias/byok-acme": keys.s3.rpartition("/")[2]}
    keys.role.update_alias(AliasName="alias/byok-acme", TargetKeyId=keys.rds)
    assert list_alias_targets(keys.role) == {"alias/byok-acme": keys.rds.rpartition("/")[2]}
    keys.role.delete_alias(AliasName="alias/byok-acme")
    assert list_alias_targets(keys.role) == {}
    keys.role.tag_resource(KeyId=keys.rds, Tags=[TAG])
    assert keys.role.list_resource_tags(KeyId=keys.rds)["Tags"] == [TAG]


def test_creating_an_alias_requires_permission_on_alias_and_key(keys: KeysAndClients) -> None:
    foreign, own = "alias/production", "alias/byok-acme"

    refused_for_alias = catch_error_with_status(keys.role.create_alias, AliasName=foreign, TargetKeyId=keys.s3)
    refused_for_key = catch_error_with_status(keys.role.create_alias, AliasName=own, TargetKeyId=keys.third)

    assert refused_for_alias == build_access_denied_error("CreateAlias", f"{ALIASES}/production")
    assert refused_for_key == build_access_denied_error("CreateAlias", keys.third)
    assert list_alias_targets(keys.owner) == {}


def test_alias_of_a_third_key_cannot_be_taken_away(keys: KeysAndClients) -> None:
    keys.owner.create_alias(AliasName="alias/byok-acme", TargetKeyId=keys.third)

    update = catch_error_with_status(keys.role.update_alias, AliasName="alias/byok-acme", TargetKeyId=keys.s3)
    delete = catch_error_with_status(keys.role.delete_alias, AliasName="alias/byok-acme")

    assert update == build_access_denied_error("UpdateAlias", keys.third)
    assert delete == build_access_denied_error("DeleteAlias", keys.third)
    assert list_alias_targets(keys.owner) == {"alias/byok-acme": keys.third.rpartition("/")[2]}


def test_alias_cannot_be_pointed_at_a_third_key(keys: KeysAndClients) -> None:
    keys.role.create_alias(AliasName="alias/byok-acme", TargetKeyId=keys.s3)

    assert catch_error_with_status(
        keys.role.update_alias, AliasName="alias/byok-acme", TargetKeyId=keys.third
    ) == build_access_denied_error("UpdateAlias", keys.third)
    assert catch_error_with_status(
        keys.role.update_alias, AliasName="alias/other", TargetKeyId=keys.s3
    ) == build_access_denied_error("UpdateAlias", f"{ALIASES}/other")


def test_role_cannot_tag_a_third_key(keys: KeysAndClients) -> None:
    assert catch_error_with_status(keys.role.tag_resource, KeyId=keys.third, Tags=[TAG]) == build_access_denied_error(
        "TagResource", keys.third
    )
    assert catch_error_with_status(keys.role.list_resource_tags, KeyId=keys.third) == build_access_denied_error(
        "ListResourceTags", keys.third
    )


def test_key_policy_without_iam_delegation_excludes_the_role(aws: AwsHarness) -> None:
    administrator = {
        "Sid": "OneAdministrator",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:user/KeyAdministrator"},
        "Action": "kms:*",
        "Resource": "*",
    }
    kms = aws.customer_client("kms")
    policy = json.dumps({"Statement": [administrator]})
    key = kms.create_key(Policy=policy)["KeyMetadata"]["Arn"]
    role = aws.assumed_role_client("kms", aws.create_customer_role(allow_statement(ON_KEYS, "*")))

    assert catch_error_with_status(
        role.create_alias, AliasName="alias/byok-acme", TargetKeyId=key
    ) == build_access_denied_error("CreateAlias", key, "resource-based")
    kms.create_alias(AliasName="alias/byok-acme", TargetKeyId=key)


def test_explicit_deny_is_named(aws: AwsHarness) -> None:
    key = aws.create_key()
    deny = {"Effect": "Deny", "Action": "kms:TagResource", "Resource": key}
    role = aws.assumed_role_client("kms", aws.create_customer_role(allow_statement("kms:*", "*"), deny))

    code, _, message = catch_error_with_status(role.tag_resource, KeyId=key, Tags=[TAG])

    assert code == "AccessDeniedException"
    assert message.endswith(f"on resource: {key} with an explicit deny in an identity-based policy")


def test_request_tags_are_condition_keys(aws: AwsHarness) -> None:
    key = aws.create_key()
    only = allow_statement(
        ["kms:TagResource", "kms:UntagResource"], key, **{"ForAllValues:StringEquals": {"aws:TagKeys": ["aatn"]}}
    )
    role = aws.assumed_role_client("kms", aws.create_customer_role(only))

    role.tag_resource(KeyId=key, Tags=[TAG])

    other = [TAG, {"TagKey": "cost", "TagValue": "0"}]
    assert catch_error_with_status(role.tag_resource, KeyId=key, Tags=other) == build_access_denied_error(
        "TagResource", key
    )
    assert catch_error_with_status(role.untag_resource, KeyId=key, TagKeys=["cost"]) == build_access_denied_error(
        "UntagResource", key
    )
    role.untag_resource(KeyId=key, TagKeys=["aatn"])


def test_aliases_and_tags_of_a_key_are_condition_keys(aws: AwsHarness) -> None:
    marked, bare, kms = aws.create_key(Tags=[TAG]), aws.create_key(), aws.customer_client("kms")
    kms.create_alias(AliasName="alias/byok-acme", TargetKeyId=bare)
    by_tag = allow_statement("kms:DescribeKey", "*", StringEquals={"aws:ResourceTag/aatn": "acme"})
    by_alias = allow_statement(
        "kms:ListResourceTags", "*", **{"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/byok-*"}}
    )
    role = aws.assumed_role_client("kms", aws.create_customer_role(by_tag, by_alias))

    assert role.describe_key(KeyId=marked)["KeyMetadata"]["Arn"] == marked
    assert catch_error_with_status(role.describe_key, KeyId=bare) == build_access_denied_error("DescribeKey", bare)
    assert role.list_resource_tags(KeyId=bare)["Tags"] == []
    assert catch_error_with_status(role.list_resource_tags, KeyId=marked) == build_access_denied_error(
        "ListResourceTags", marked
    )


def test_operations_without_a_key_require_the_callers_permission(aws: AwsHarness) -> None:
    role = aws.assumed_role_client("kms", aws.create_customer_role(allow_statement("kms:CreateKey", "*")))

    assert catch_error_with_status(role.list_aliases) == build_access_denied_error("ListAliases", "*")
    assert catch_error_with_status(role.list_keys) == build_access_denied_error("ListKeys", "*")
    assert catch_error_with_status(role.create_key, Tags=[TAG]) == build_access_denied_error("TagResource", "*")
    assert role.create_key()["KeyMetadata"]["AWSAccountId"] == "444455556666"
    assert catch_error_with_status(aws.platform_client("kms").create_key)[0] == "AccessDeniedException"


def test_customers_alias_cannot_point_at_a_platform_key(aws: AwsHarness, keys: KeysAndClients) -> None:
    own = aws.operator_client("kms").create_key()["KeyMetadata"]["Arn"]

    # Regardless of the policies, an alias and its key must be in the same account. We found no recording of AWS's
    # error, so the error code asserted here is an assumption.
    assert catch_error_with_status(keys.owner.create_alias, AliasName="alias/byok-acme", TargetKeyId=own)[0] == (
        "AccessDeniedException"
    )


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_lists_are_paged(aws: AwsHarness, size: int) -> None:
    kms = aws.customer_client("kms")
    tags = [{"TagKey": f"t{number}", "TagValue": "x"} for number in range(5)]
    key = aws.create_key(Tags=tags)
    names = [f"alias/byok-{number}" for number in range(5)]
    for name in names:
        kms.create_alias(AliasName=name, TargetKeyId=key)

    def pages(operation: str, member: str, **given: str) -> list[list[Any]]:
        asked = kms.get_paginator(operation).paginate(PaginationConfig={"PageSize": size}, **given)
        return [one[member] for one in asked]

    of_aliases, of_tags = pages("list_aliases", "Aliases", KeyId=key), pages("list_resource_tags", "Tags", KeyId=key)
    assert [alias["AliasName"] for one in of_aliases for alias in one] == names
    assert [tag for one in of_tags for tag in one] == tags
    assert [len(one) for one in of_aliases] == [len(one) for one in of_tags]
    assert len(of_aliases) == -(-5 // size)


def test_list_is_cut_at_its_default_length(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()
    for number in range(51):
        kms.create_alias(AliasName=f"alias/byok-{number}", TargetKeyId=key)

    first = kms.list_aliases()
    rest = kms.list_aliases(Marker=first["NextMarker"])

    assert (len(first["Aliases"]), first["Truncated"]) == (50, True)
    assert (len(rest["Aliases"]), rest["Truncated"], "NextMarker" in rest) == (1, False, False)


def test_invalid_page_is_refused(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()

    assert catch_error_with_status(kms.list_aliases, Marker="made-up")[0] == "InvalidMarkerException"
    assert catch_error_with_status(kms.list_resource_tags, KeyId=key, Limit=51)[0] == "ValidationException"
