"""Facts about two keys, as the key administrator's script collects them, and functions that change these facts."""

import json
from collections.abc import Callable
from typing import Any

from byok.domain.arns import KeyPurpose
from byok.domain.diagnosis.key_facts import COLLECTION_FORMAT, CollectedKeys
from tests.policy_context import PolicyContext

PLACE = PolicyContext("arn:aws:iam::111122223333:role/AtaccamaPlatform", "eu-central-1", "444455556666")
KEYS = {
    KeyPurpose.S3: "arn:aws:kms:eu-central-1:444455556666:key/11111111-1111-4111-8111-111111111111",
    KeyPurpose.RDS: "arn:aws:kms:eu-central-1:444455556666:key/22222222-2222-4222-8222-222222222222",
}
Facts = dict[str, Any]


def valid_key_facts(which: KeyPurpose) -> Facts:
    policy = {"Version": "2012-10-17", "Statement": [PLACE.owner_statement, *PLACE.build_statements(which)]}
    metadata = {
        "Arn": KEYS[which],
        "KeyState": "Enabled",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT",
    }
    return {
        "arn": KEYS[which],
        "describe_key": {"KeyMetadata": metadata | {"KeyManager": "CUSTOMER"}},
        "key_policy": {"Policy": json.dumps(policy), "PolicyName": "default"},
        "rotation": {"KeyRotationEnabled": True},
        "aliases": {"Aliases": []},
        "tags": {"Tags": []},
    }


def build_collected_keys(caller: Facts | None = None, **keys: Facts) -> CollectedKeys:
    facts: Facts = {"format": COLLECTION_FORMAT, "platform_role_arn": PLACE.role, "region": PLACE.region}
    facts["caller"] = caller if caller is not None else {"Account": PLACE.customer}
    keys = {which.value: keys.get(which.value, valid_key_facts(which)) for which in KeyPurpose}
    return CollectedKeys.parse(json.dumps({**facts, **keys}))


def build_metadata_change(**values: Any) -> Callable[[Facts], Facts]:
    def change(facts: Facts) -> Facts:
        facts["describe_key"]["KeyMetadata"] |= values
        return facts

    return change


def build_response_replacement(command: str, **values: Any) -> Callable[[Facts], Facts]:
    return lambda facts: facts | {command: values}


def build_arn_replacement(text: str) -> Callable[[Facts], Facts]:
    return lambda facts: facts | {"arn": text}
