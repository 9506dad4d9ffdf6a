"""A remedy's commands are valid, no placeholder is left, and the last line gives the next step.

The tests check every remedy for each key and in each partition.
"""

import json
import re
import shlex
from dataclasses import replace
from itertools import product

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from byok.domain.arns import KeyArnErrorCode, KeyPurpose
from byok.domain.iam.statements import build_rds_key_statements, build_s3_key_statements
from byok.domain.phases import RequestKind
from byok.domain.problems.remediation import (
    Remedy,
    RemedyContext,
    build_alias_remediation,
    build_arn_remediation,
    build_remediation,
)
from byok.domain.vendor import VendorProfile

BOTOCORE = botocore.session.get_session()
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
PLACES = [
    ("aws", "eu-central-1"),
    ("aws-cn", "cn-north-1"),
    ("aws-us-gov", "us-gov-west-1"),
    ("aws-eusc", "eusc-de-east-1"),
]
CUSTOMERS_KEY = {
    Remedy.ENABLE_KEY,
    Remedy.CANCEL_DELETION,
    Remedy.IMPORT_MATERIAL,
    Remedy.KEY_STATE,
    Remedy.SYMMETRIC_KEY,
    Remedy.OWN_KEY,
    Remedy.CHECK_ARN,
    Remedy.S3_KEY_POLICY,
    Remedy.RDS_KEY,
    Remedy.CLUSTER_LOST_KEY,
    Remedy.READY_CLUSTER_LOST_KEY,
    Remedy.KEY_IN_USE,
    Remedy.OTHER_KEY,
    Remedy.NO_FINAL_SNAPSHOT,
    Remedy.TENANT_ROLE,
    Remedy.KEY_LIMIT,
}
"""Remedies that the customer must carry out. A remedy that is neither in this set nor in `ASKERS` says that the
customer does not need to do anything."""
ASKERS = {
    Remedy.CANCELLED,
    Remedy.MALFORMED_REQUEST,
    Remedy.TENANT_NAME,
    Remedy.ENVIRONMENT_NOT_THERE,
    Remedy.NOT_THESE_KEYS,
    Remedy.ACCOUNT_NOT_REGISTERED,
    Remedy.ORGANISATION_QUOTA,
    Remedy.KEYS_EXCHANGED,
    Remedy.ENCRYPTION_CANNOT_CHANGE,
}
"""Remedies that require the user to send a different request."""


def build_context(
    key: KeyPurpose | None, partition: str = "aws", region: str = "eu-central-1", *, known_role: bool = True
) -> RemedyContext:
    role = f"arn:{partition}:iam::111122223333:role/platform" if known_role else None
    arn = f"arn:{partition}:kms:{region}:444455556666:key/{KEY_ID}" if key else None
    return RemedyContext(region, role, VendorProfile(), key, arn, organisation="acme")


def list_remediation_texts(known_role: bool) -> list[tuple[str, RemedyContext, str]]:
    subjects = [
        build_context(key, partition, region, known_role=known_role)
        for key, (partition, region) in product([*KeyPurpose, None], PLACES)
    ]
    subjects += [replace(one, request_kind=RequestKind.TENANT) for one in subjects if one.region == "eu-central-1"]
    return [
        *((remedy.value, one, build_remediation(remedy, one)) for remedy, one in product(Remedy, subjects)),
        *(
            (fault.value, one, build_arn_remediation(fault, one))
            for fault, one in product(KeyArnErrorCode, subjects)
            if one.key
        ),
    ]


def case_id(name: str, one: RemedyContext) -> str:
    return f"{name}-{one.key}-{one.region}-{one.request_kind.name.lower()}"


ALL = [pytest.param(*case, id=case_id(*case[:2])) for case in list_remediation_texts(known_role=True)]
ROLELESS = [
    pytest.param(*case, id=f"{case_id(*case[:2])}-no-role") for case in list_remediation_texts(known_role=False)
]


@pytest.mark.parametrize(("name", "one", "text"), ALL + ROLELESS)
def test_no_placeholder_is_left(name: str, one: RemedyContext, text: str) -> None:
    assert "None" not in text
    assert "${" not in text
    assert re.search(r"\{\w*\}", text) is None
    if one.key:
        assert "<" not in text, "every value is known, so every value is filled in"


@pytest.mark.parametrize(("name", "one", "text"), ALL + ROLELESS)
def test_last_line_says_what_to_do_next(name: str, one: RemedyContext, text: str) -> None:
    last = text.splitlines()[-1]
    assert "retry" in last.lower()
    assert last.endswith(".")


@pytest.mark.parametrize(
    ("request_kind", "retry"),
    [
        (RequestKind.ENVIRONMENT, "Then retry with the same values: provisioning resumes where it stopped."),
        (RequestKind.TENANT, "Then retry with the same values: byok skips a key that already has the name."),
        (RequestKind.DELETION, "Then retry the deletion: byok skips resources that are already deleted."),
    ],
)
def test_last_line_says_what_a_retry_does(request_kind: RequestKind, retry: str) -> None:
    text = build_remediation(Remedy.ENABLE_KEY, replace(build_context(KeyPurpose.S3), request_kind=request_kind))
    assert text.splitlines()[-1] == retry


@pytest.mark.parametrize(("name", "one", "text"), ALL + ROLELESS)
def test_no_remedy_names_the_command_that_retries(name: str, one: RemedyContext, text: str) -> None:
    assert "byok replay" not in text, "the wizard and the HTTP API show the same text; they have no such command"


@pytest.mark.parametrize("within_reach", [True, False])
@pytest.mark.parametrize(("partition", "region"), PLACES)
def test_remedy_for_an_alias_conflict_names_who_can_change_it(within_reach: bool, partition: str, region: str) -> None:
    one = build_context(KeyPurpose.RDS, partition, region)
    text = build_alias_remediation(one, "alias/a", KEY_ID, "byok tenant acme acme", within_reach=within_reach)

    if within_reach:
        assert parse_aws_commands(text) == []
        assert text.endswith("\n  byok tenant acme acme --repoint")
    else:
        assert KEY_ID in text
        (command,) = parse_aws_commands(text)
        assert command == [
            *("aws", "kms", "update-alias", "--profile", "byok", "--region", region),
            *("--alias-name", "alias/a", "--target-key-id", one.key_arn),
        ]
        assert "replace byok with your AWS CLI profile" in text
        assert text.endswith("\n  byok tenant acme acme")


@pytest.mark.parametrize(("remedy", "which"), [(Remedy.S3_KEY_POLICY, KeyPurpose.S3), (Remedy.RDS_KEY, KeyPurpose.RDS)])
def test_statements_are_never_added_to_the_other_keys(remedy: Remedy, which: KeyPurpose) -> None:
    one = build_context(which)
    own, other = (
        [statement["Sid"] for statement in render(str(one.platform_role_arn), one.region, one.vendor)]
        for render in (
            (build_s3_key_statements, build_rds_key_statements)
            if which is KeyPurpose.S3
            else (build_rds_key_statements, build_s3_key_statements)
        )
    )

    before, _, after = build_remediation(remedy, one).partition("Append ")

    assert f"has the statement {other[-1]}, this key is the {which.other.display_name}" in before  # contract 127
    assert "leave its policy unchanged" in before
    assert all(sid in after for sid in own)


def test_exchanged_arns_are_given_back_swapped() -> None:
    one = replace(build_context(KeyPurpose.S3), other_key_arn="arn:aws:kms:eu-central-1:444455556666:key/other")
    text = build_remediation(Remedy.KEYS_EXCHANGED, one)
    assert f"S3 key ARN: {one.other_key_arn}\n  RDS key ARN: {one.key_arn}\n" in text  # contract 127
    assert "Append" not in text


def parse_aws_commands(text: str) -> list[list[str]]:
    return [shlex.split(line) for line in text.splitlines() if line.startswith("  aws ")]


@pytest.mark.parametrize(("name", "one", "text"), ALL)
def test_every_command_is_a_valid_aws_command(name: str, one: RemedyContext, text: str) -> None:
    for aws, service, operation, *options in parse_aws_commands(text):
        assert aws == "aws"
        model = BOTOCORE.get_service_model(service)
        by_command = {re.sub(r"(?<=[a-z])(?=[A-Z])", "-", known).lower(): known for known in model.operation_names}
        shape = model.operation_model(by_command[operation]).input_shape
        members = shape.members if shape else {}
        given_options = {option for option in options if option.startswith("--")}
        theirs = {"--" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", member).lower() for member in members}
        assert given_options <= theirs | {"--profile", "--region", "--query", "--output"}
        assert options[options.index("--region") + 1] == one.region
        assert options[options.index("--profile") + 1] == "byok"  # contract 40
        if "--key-id" in given_options and one.key_arn:
            assert options[options.index("--key-id") + 1] == one.key_arn


@pytest.mark.parametrize(("name", "one", "text"), ALL + ROLELESS)
def test_text_with_a_command_explains_the_profile(name: str, one: RemedyContext, text: str) -> None:
    assert bool(parse_aws_commands(text)) == ("replace byok with your AWS CLI profile" in text)  # contract 40


@pytest.mark.parametrize("remedy", Remedy)
def test_remedy_says_who_must_act(remedy: Remedy) -> None:
    text = build_remediation(remedy, build_context(KeyPurpose.S3))
    whoever_asked = remedy in ASKERS
    assert ("The customer does not need to do anything" in text) == (remedy not in CUSTOMERS_KEY and not whoever_asked)


@pytest.mark.parametrize("key", KeyPurpose)
@pytest.mark.parametrize(("partition", "region"), PLACES)
@pytest.mark.parametrize("remedy", [Remedy.S3_KEY_POLICY, Remedy.RDS_KEY, Remedy.SYMMETRIC_KEY, Remedy.KEY_IN_USE])
def test_remedy_shows_the_statements_of_its_key(remedy: Remedy, key: KeyPurpose, partition: str, region: str) -> None:
    one = build_context(key, partition, region)
    assert one.platform_role_arn
    render = build_s3_key_statements if key is KeyPurpose.S3 else build_rds_key_statements
    statements = render(one.platform_role_arn, region, one.vendor)
    assert one.statements_json in build_remediation(remedy, one)
    # The statements are elements of a Statement array, ready to paste (contract 27).
    assert json.loads(f"[{one.statements_json}]") == statements


def test_aurora_key_remedy_never_suggests_the_s3_statement() -> None:
    for remedy in Remedy:
        text = build_remediation(remedy, build_context(KeyPurpose.RDS))
        assert '"AllowAtaccamaPlatformS3Access"' not in text  # contract 80


def test_pending_deletion_is_cancelled_before_the_key_is_enabled() -> None:
    for remedy in (Remedy.CANCEL_DELETION, Remedy.RDS_KEY, Remedy.CLUSTER_LOST_KEY):
        operations = [
            command[2] for command in parse_aws_commands(build_remediation(remedy, build_context(KeyPurpose.RDS)))
        ]
        assert operations.index("cancel-key-deletion") < operations.index("enable-key")  # contract 112


def test_multi_region_key_remedy_names_the_local_replica() -> None:
    mrk = "mrk-1234abcd12ab34cd56ef1234567890ab"
    far = f"arn:aws:kms:us-east-1:444455556666:key/{mrk}"
    near = f"arn:aws:kms:eu-central-1:444455556666:key/{mrk}"
    one = RemedyContext(
        "eu-central-1", build_context(KeyPurpose.S3).platform_role_arn, VendorProfile(), KeyPurpose.S3, far
    )
    text = build_arn_remediation(KeyArnErrorCode.OTHER_REGION_REPLICA, one)
    assert parse_aws_commands(text)[0][-6:-4] == ["--key-id", near]  # contract 117
    assert "its own key policy" in text
    assert "AllowAtaccamaPlatformS3Access" in text


def test_alias_remedy_has_the_command_that_prints_the_key_arn() -> None:
    alias = "arn:aws:kms:eu-central-1:444455556666:alias/payments"
    one = RemedyContext("eu-central-1", None, VendorProfile(), KeyPurpose.RDS, alias)
    (command,) = parse_aws_commands(build_arn_remediation(KeyArnErrorCode.ALIAS, one))
    assert command == [  # contract 82
        *("aws", "kms", "describe-key", "--profile", "byok", "--region", "eu-central-1"),
        *("--key-id", alias, "--query", "KeyMetadata.Arn", "--output", "text"),
    ]


@given(st.text(min_size=1), st.sampled_from(KeyArnErrorCode), st.sampled_from(Remedy), st.sampled_from(KeyPurpose))
def test_pasted_text_stays_one_shell_word(pasted: str, fault: KeyArnErrorCode, remedy: Remedy, key: KeyPurpose) -> None:
    one = RemedyContext("eu-central-1", None, VendorProfile(), key, pasted)
    assert shlex.split(one.kms_key_options, posix=True)[-1] == pasted
    for text in (build_remediation(remedy, one), build_arn_remediation(fault, one)):
        assert text.endswith(".")
