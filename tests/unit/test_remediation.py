"""A remedy has a title and steps, its commands are valid, no placeholder is left, and the last step is the retry.

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
from byok.domain.remediation import Actor, Remediation, RemedyStep, Retry, RetryRequest, RetryValues
from byok.domain.vendor import VendorProfile
from tests.remedy_text import text_of

BOTOCORE = botocore.session.get_session()
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
PLACES = [
    ("aws", "eu-central-1"),
    ("aws-cn", "cn-north-1"),
    ("aws-us-gov", "us-gov-west-1"),
    ("aws-eusc", "eusc-de-east-1"),
]
CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
}
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
    return RemedyContext(region, role, VendorProfile(), key, arn, organisation="acme", advice="Delete one.")


def list_remedies(known_role: bool) -> list[tuple[str, RemedyContext, Remediation]]:
    subjects = [
        build_context(key, partition, region, known_role=known_role)
        for key, (partition, region) in product([*KeyPurpose, None], PLACES)
    ]
    near = [one for one in subjects if one.region == "eu-central-1"]
    subjects += [replace(one, request_kind=kind) for one, kind in product(near, RequestKind)]
    return [
        *((remedy.value, one, build_remediation(remedy, one)) for remedy, one in product(Remedy, subjects)),
        *(
            (fault.value, one, build_arn_remediation(fault, one))
            for fault, one in product(KeyArnErrorCode, subjects)
            if one.key
        ),
    ]


ALL = list_remedies(known_role=True)
ROLELESS = list_remedies(known_role=False)


def test_every_title_is_one_short_sentence() -> None:
    for name, one, remedy in ALL + ROLELESS:
        assert 15 < len(remedy.title) <= 90, (name, remedy.title)
        assert remedy.title[0].isupper(), (name, one)
        assert not remedy.title.endswith("."), (name, one)
    titles = {name: remedy.title for name, one, remedy in ALL if one == build_context(KeyPurpose.S3)}
    assert len(set(titles.values())) == len(titles), "each remedy has a title of its own"


def test_no_placeholder_is_left() -> None:
    for name, one, remedy in ALL + ROLELESS:
        for step in remedy.steps:
            cases = [word for case in step.cases for word in (case.when, case.text, case.command or "")]
            told = (remedy.title, remedy.explanation, step.text, step.command or "", *cases)
            assert not any(re.search(r"\{|\}|None", text) for text in told), (name, one)
            # If the key is known, no value in angle brackets remains for the user to fill in.
            assert not one.key or "<" not in "".join(told), (name, one)
        text = text_of(remedy)
        assert "${" not in text
        assert re.search(r"\{\w*\}", text) is None


def test_only_the_last_step_is_the_retry() -> None:
    for name, one, remedy in ALL + ROLELESS:
        *steps, last = remedy.steps
        assert last.retry is not None, (name, one)
        assert not any(step.retry for step in steps), (name, one)
        assert "retry" in last.text.lower(), (name, one)
        assert all(step.text.endswith(".") for step in remedy.steps), (name, one)


@pytest.mark.parametrize(
    ("request_kind", "repeated", "words"),
    [
        (
            RequestKind.ENVIRONMENT,
            RetryRequest.REPLAY,
            "Retry with the same values: provisioning resumes where it stopped.",
        ),
        (
            RequestKind.TENANT,
            RetryRequest.SET_TENANT_NAME,
            "Retry with the same values: byok skips a key that already has the name.",
        ),
        (
            RequestKind.DELETION,
            RetryRequest.DELETE,
            "Retry the deletion: byok skips resources that are already deleted.",
        ),
        (RequestKind.KEY_CHECK, RetryRequest.CHECK_KEYS, "Retry the check of the keys."),
    ],
)
def test_last_step_says_what_a_retry_does(request_kind: RequestKind, repeated: RetryRequest, words: str) -> None:
    remedy = build_remediation(Remedy.ENABLE_KEY, replace(build_context(KeyPurpose.S3), request_kind=request_kind))
    assert remedy.steps[-1] == RemedyStep(text=words, retry=Retry(request=repeated))


def test_no_remedy_names_what_only_one_surface_has() -> None:
    for name, one, remedy in ALL + ROLELESS:
        text = text_of(remedy)
        assert "byok replay" not in text, (name, one)  # the wizard and the HTTP API have no such command
        assert "elect Retry" not in text, (name, one)  # the CLI has no such button


@pytest.mark.parametrize(("partition", "region"), PLACES)
@pytest.mark.parametrize("key", KeyPurpose)
def test_links_open_the_key_in_the_console_of_its_partition(partition: str, region: str, key: KeyPurpose) -> None:
    remedy = build_remediation(Remedy.ENABLE_KEY, build_context(key, partition, region))
    link = remedy.steps[0].link
    assert link is not None
    assert link.url == f"https://{region}.{CONSOLES[partition]}/kms/home?region={region}#/kms/keys/{KEY_ID}"
    assert key.display_name in link.label


def test_no_link_is_built_from_an_invalid_arn_or_for_an_unknown_console() -> None:
    pasted = replace(build_context(KeyPurpose.S3), key_arn="https://example.com/#")
    assert list_links(build_remediation(Remedy.ENABLE_KEY, pasted)) == [
        ("Open the S3 key in the AWS KMS console", None)
    ]
    isolated = build_context(KeyPurpose.S3, "aws-iso", "us-iso-east-1")
    links = list_links(build_remediation(Remedy.KEY_IN_USE, isolated))
    assert links
    assert all(url is None for _, url in links)


def list_links(remedy: Remediation) -> list[tuple[str, str | None]]:
    return [(step.link.label, step.link.url) for step in remedy.steps if step.link]


def test_key_administrator_can_carry_out_every_step_on_a_key_in_the_console() -> None:
    for name, one, remedy in ALL + ROLELESS:
        for step in remedy.steps:
            commands = [part.command for part in (step, *step.cases) if (part.command or "").startswith("aws kms ")]
            clicks = [part.console for part in (step, *step.cases) if part.console]
            assert len(clicks) >= len(commands), (name, one, step.text)
            assert step.link or not clicks, (name, one, step.text)
            assert all(re.fullmatch(r"[A-Z].*\.", click) for click in clicks), (name, clicks)


@pytest.mark.parametrize("within_reach", [True, False])
@pytest.mark.parametrize(("partition", "region"), PLACES)
def test_remedy_for_an_alias_conflict_names_who_can_change_it(within_reach: bool, partition: str, region: str) -> None:
    one = build_context(KeyPurpose.RDS, partition, region)
    remedy = build_alias_remediation(one, "alias/a", KEY_ID, "byok tenant acme acme", within_reach=within_reach)

    assert remedy.steps[-1].retry is not None
    assert remedy.steps[-1].retry.request is RetryRequest.SET_TENANT_NAME
    if within_reach:
        assert parse_aws_commands(remedy) == []
        assert remedy.steps[-1].command == "byok tenant acme acme --repoint"
    else:
        assert KEY_ID in remedy.explanation
        (command,) = parse_aws_commands(remedy)
        assert command == [
            *("aws", "kms", "update-alias", "--profile", "byok", "--region", region),
            *("--alias-name", "alias/a", "--target-key-id", one.key_arn),
        ]
        assert "replace byok with your AWS CLI profile" in str(remedy.steps[0].credentials)
        assert remedy.steps[-1].command == "byok tenant acme acme"


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

    cases = next(step.cases for step in build_remediation(remedy, one).steps if "key policy" in step.text)
    index = next(index for index, case in enumerate(cases) if case.statement)

    before = cases[index - 1]
    assert f"has the statement {other[-1]}" in before.when  # contract 127
    assert f"This key is the {which.other.display_name}: leave its policy unchanged" in before.text
    assert cases[index].when.startswith("Otherwise, ")
    assert all(sid in str(cases[index].statement) for sid in own)


def test_exchanged_arns_are_given_back_swapped() -> None:
    one = replace(build_context(KeyPurpose.S3), other_key_arn="arn:aws:kms:eu-central-1:444455556666:key/other")
    remedy = build_remediation(Remedy.KEYS_EXCHANGED, one)
    assert [step.text for step in remedy.steps[:2]] == [  # contract 127
        f"Use {one.other_key_arn} as S3 key ARN.",
        f"Use {one.key_arn} as RDS key ARN.",
    ]
    assert remedy.steps[-1].retry == Retry(request=RetryRequest.REPLAY, values=RetryValues.SWAPPED_KEYS)
    assert not any(step.statement for step in remedy.steps)


def parse_aws_commands(remedy: Remediation) -> list[list[str]]:
    return [shlex.split(command) for command in remedy.commands if command.startswith("aws ")]


def test_every_command_is_a_valid_aws_command() -> None:
    for name, one, remedy in ALL:
        for aws, service, operation, *options in parse_aws_commands(remedy):
            assert aws == "aws"
            assert not {"&&", ";", "|", "aws"} & set(options), (name, "one command per step")
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


def test_commands_are_in_no_text_and_on_one_line() -> None:
    for name, one, remedy in ALL + ROLELESS:
        assert all("\n" not in command for command in remedy.commands), (name, one)
        texts = [part.text for step in remedy.steps for part in (step, *step.cases)]
        assert all("aws kms" not in text and "\n" not in text for text in texts), (name, one)


def test_first_aws_command_explains_the_profile() -> None:
    for name, one, remedy in ALL + ROLELESS:
        explained = ["replace byok with your AWS CLI profile" in (step.credentials or "") for step in remedy.steps]
        first = next((i for i, step in enumerate(remedy.steps) if (step.command or "").startswith("aws ")), None)
        assert explained == [index == first for index in range(len(explained))], (name, one)  # contract 40


@pytest.mark.parametrize("remedy", Remedy)
def test_remedy_says_who_must_act(remedy: Remedy) -> None:
    built = build_remediation(remedy, build_context(KeyPurpose.S3))
    whoever_asked = remedy in ASKERS
    no_action = built.explanation.startswith("The customer does not need to do anything.")
    assert no_action == (remedy not in CUSTOMERS_KEY and not whoever_asked)
    assert all(step.actor is not None for step in built.steps[:-1])
    assert built.steps[-1].actor is None
    if remedy in CUSTOMERS_KEY - {Remedy.OTHER_KEY}:
        assert built.actors[0] is Actor.KEY_ADMINISTRATOR
    if no_action:
        assert built.actors == (Actor.PLATFORM_OPERATOR,)


def test_every_step_is_in_the_imperative_and_no_remedy_is_long() -> None:
    for name, one, remedy in ALL + ROLELESS:
        assert len(remedy.steps) <= 5, (name, one)
        for step in remedy.steps:
            assert not re.match(r"The (key administrator|platform's operator|vendor's staff)", step.text), (name, one)


def test_remedy_for_the_aurora_key_has_one_command_for_each_check_and_the_most_likely_cause_first() -> None:
    script, state, policy, retry = build_remediation(Remedy.RDS_KEY, build_context(KeyPurpose.RDS)).steps
    assert (script.script, script.command) == (True, "bash byok-keys.sh > keys.json")
    assert str(state.command).endswith("--query KeyMetadata")
    assert ["(PendingDeletion)" in state.cases[0].when, "is Disabled" in state.cases[1].when] == [True, True]
    assert "get-key-policy" in str(policy.command)
    assert retry.retry is not None


@pytest.mark.parametrize("key", KeyPurpose)
@pytest.mark.parametrize(("partition", "region"), PLACES)
@pytest.mark.parametrize("remedy", [Remedy.S3_KEY_POLICY, Remedy.RDS_KEY, Remedy.SYMMETRIC_KEY, Remedy.KEY_IN_USE])
def test_remedy_shows_the_statements_of_its_key(remedy: Remedy, key: KeyPurpose, partition: str, region: str) -> None:
    one = build_context(key, partition, region)
    assert one.platform_role_arn
    render = build_s3_key_statements if key is KeyPurpose.S3 else build_rds_key_statements
    statements = render(one.platform_role_arn, region, one.vendor)
    steps = build_remediation(remedy, one).steps
    (shown,) = [part.statement for step in steps for part in (step, *step.cases) if part.statement]
    # The statements are elements of a Statement array, ready to paste (contract 27).
    assert json.loads(f"[{shown}]") == statements


def test_aurora_key_remedy_never_suggests_the_s3_statement() -> None:
    for remedy in Remedy:
        text = text_of(build_remediation(remedy, build_context(KeyPurpose.RDS)))
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
    remedy = build_arn_remediation(KeyArnErrorCode.OTHER_REGION_REPLICA, one)
    assert parse_aws_commands(remedy)[0][-6:-4] == ["--key-id", near]  # contract 117
    text = text_of(remedy)
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
    for built in (build_remediation(remedy, one), build_arn_remediation(fault, one)):
        assert built.steps[-1].retry
