"""The commands for keys: the onboarding kit, the templates, the policies and the diagnosis."""

import json
import re
from pathlib import Path

import pytest
import yaml

from byok.domain.arns import KeyPurpose
from byok.onboarding.template import render_keys_template
from byok.service.errors import ExternalIdUnavailableError
from tests.cli.conftest import Run
from tests.cli.fakes import FakeService
from tests.policy_cases import POLICY_CASES
from tests.policy_context import VENDOR, PolicyContext

ROLE = "arn:aws:iam::111122223333:role/AtaccamaPlatform"
PLACE = PolicyContext(ROLE, "eu-central-1", "444455556666")
WHERE = ("--region", "eu-central-1", "--platform-role-arn", ROLE)
KEYS = tuple(f"arn:aws:kms:eu-central-1:444455556666:key/{number * 8}-1111-4111-8111-111111111111" for number in "12")
NAMED = ("--environment", "acme")
PAYLOAD = json.dumps({"S3KmsKeyArn": KEYS[0], "RdsKmsKeyArn": KEYS[1]})


def test_onboarding_shows_values_commands_and_statements_ready_to_copy(run: Run) -> None:
    ended = run("onboarding", *WHERE, "--environment", "acme")

    assert ended.code == 0
    assert "--stack-name byok-kms-keys-acme" in ended.out  # contract 130
    for text in (
        ROLE,
        "111122223333",
        "eu-central-1",
        "AllowAtaccamaPlatformRDSGrants",
        "7 to 30 days",
    ):  # contract 16-18, 112
        assert text in ended.out
    assert "\naws cloudformation deploy \\\n  --profile byok \\\n" in ended.out  # contract 25, 39, 40
    assert "${" not in ended.out  # contract 26


def test_onboarding_json_has_the_same_values(run: Run) -> None:
    kit = run("onboarding", *WHERE, "--stack-name", "mine", "--profile", "keys", "-o", "json").json

    assert kit["statements"]["s3"] == PLACE.build_statements(KeyPurpose.S3)
    assert kit["platform_account"] == "111122223333"  # D3
    assert "--profile keys" in kit["commands"]["deploy"]
    assert "--stack-name mine" in kit["commands"]["payload"]
    assert kit["external_id"] is None, "the role names the keys, so the external id is of no use before"
    assert kit["commands"]["deploy_tenant_role"] is None


def test_onboarding_with_keys_includes_the_tenant_role(run: Run, service: FakeService) -> None:
    kits = [run("onboarding", *WHERE, *NAMED, *keys, "-o", "json").json for keys in (("--payload", PAYLOAD), ARNS)]

    assert kits[0] == kits[1]
    assert f"ExternalId={kits[0]['external_id']}" in kits[0]["commands"]["deploy_tenant_role"]
    assert "--capabilities CAPABILITY_IAM" in kits[0]["commands"]["deploy_tenant_role"]
    shown = run("onboarding", *WHERE, *NAMED, *ARNS)
    for text in (
        kits[0]["external_id"],
        kits[0]["commands"]["deploy_tenant_role"],
        kits[0]["commands"]["tenant_role_arn"],
    ):
        assert text in shown.out
    assert "byok template tenant-role" in shown.err
    assert service.external_id_requests == [None] * 3, "the vendor's own"


def test_onboarding_shows_the_external_id_of_the_organisation(run: Run, service: FakeService) -> None:
    kit = run("onboarding", *WHERE, *NAMED, *ARNS, "--organisation", "globex", "-o", "json").json
    assert (kit["external_id"], service.external_id_requests) == ("external-id-of-globex", ["globex"])  # contract D11
    service.refuse = ExternalIdUnavailableError("The external id cannot be read: S3 is down")
    ended = run("onboarding", *WHERE, *NAMED, *ARNS)
    assert (ended.code, "S3 is down" in ended.err) == (1, True)


ARNS = ("--s3-key-arn", KEYS[0], "--rds-key-arn", KEYS[1])


@pytest.mark.usefixtures("service")
def test_onboarding_text_for_a_customer_names_no_byok_commands(run: Run) -> None:
    for keys in ((), ARNS):
        ended = run("onboarding", *WHERE, *NAMED, *keys)
        assert "byok template" not in ended.out
        assert "byok onboarding" not in ended.out
        assert "Save the file byok-kms-keys.yaml that came with these instructions" in ended.out
        assert "byok template --out byok-kms-keys.yaml" in ended.err
        assert "TenantName" in ended.out  # contract 10


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--region", "eu-central-1"), "BYOK_PLATFORM_ROLE_ARN"),
        (("--region", "Frankfurt", "--platform-role-arn", ROLE), "--region"),
        (("--region", "eu-central-9", "--platform-role-arn", ROLE), "nearest name is eu-central-1"),  # contract 133
        (("--region", "eu-central-1", "--platform-role-arn", "me"), "--platform-role-arn"),
        (("--region", "cn-north-1", "--platform-role-arn", ROLE, *NAMED), "partition aws-cn"),
        (WHERE, "Pass --environment"),
        ((*WHERE, "--stack-name", "1-keys"), "is not a valid stack name"),
        ((*WHERE, "--stack-name", ""), "is not a valid stack name"),
        ((*WHERE, *NAMED, "--external-id", "x"), "--external-id: no such option"),
        ((*WHERE, *NAMED, "--organisation", "Acme"), "--organisation"),
        ((*WHERE, *NAMED, "--s3-key-arn", KEYS[0]), "belong together"),
        ((*WHERE, *NAMED, "--s3-key-arn", KEYS[0], "--rds-key-arn", KEYS[0]), "S3 and Aurora must have different keys"),
        ((*WHERE, *NAMED, "--payload", "{}"), "lacks S3KmsKeyArn"),
    ],
)
def test_invalid_onboarding_options_are_refused(run: Run, arguments: tuple[str, ...], words: str) -> None:
    ended = run("onboarding", *arguments)
    assert ended.code == 2
    assert words in ended.err


def test_template_is_printed_or_written_under_its_file_name(run: Run, tmp_path: Path) -> None:
    assert run("template").out == render_keys_template(VENDOR)
    assert run("template", "--out", str(tmp_path)).code == 0
    assert (tmp_path / "byok-kms-keys.yaml").read_text() == render_keys_template(VENDOR)  # contract 24
    assert run("template", "tenant-role", "--out", str(tmp_path / "role.yaml")).code == 0
    assert "sts:ExternalId" in (tmp_path / "role.yaml").read_text()
    assert 'resource "aws_kms_key"' in run("template", "terraform", *WHERE).out


def test_template_goes_to_stdout_and_a_replaced_file_is_reported(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("template", "--out", "-").out == render_keys_template(VENDOR)
    assert list(tmp_path.iterdir()) == []
    for before, word in ((None, "Written"), (render_keys_template(VENDOR), "Written"), ("mine", "Replaced")):
        if before is not None:
            (tmp_path / "t.yaml").write_text(before)
        assert run("template", "--out", "t.yaml").err == f"{word}: t.yaml\n"
    assert (tmp_path / "t.yaml").read_text() == render_keys_template(VENDOR)


def test_unrenderable_or_unwritable_template_is_refused(run: Run, tmp_path: Path) -> None:
    assert run("template", "terraform").code == 2
    ended = run("template", "--out", str(tmp_path / "no" / "where.yaml"))
    assert ended.code == 2
    assert "Cannot write" in ended.err


@pytest.mark.parametrize(
    ("name", "which"), [("s3", KeyPurpose.S3), ("aurora", KeyPurpose.RDS), ("RDS", KeyPurpose.RDS)]
)
def test_statements_are_rendered_as_elements_of_an_array(run: Run, name: str, which: KeyPurpose) -> None:
    ended = run("policy", "render", name, *WHERE)
    assert json.loads(f"[{ended.out}]") == PLACE.build_statements(which)  # contract 27


def test_render_for_an_unknown_service_is_refused(run: Run) -> None:
    assert run("policy", "render", "dynamodb", *WHERE).code == 2


def test_check_of_a_valid_policy_exits_0_with_a_row_per_permission(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(POLICY_CASES[1].build_policy(PLACE)))

    ended = run("policy", "check", "aurora", str(file), *WHERE)

    assert ended.code == 0
    rows = [line for line in ended.out.splitlines() if line.startswith("✓")]
    assert [line.split()[1] for line in rows] == [
        "kms:DescribeKey",
        "kms:CreateGrant",
        "kms:ListGrants",
        "kms:RevokeGrant",
    ]
    assert all("by AllowAtaccamaPlatformRDS" in line for line in rows)


def test_check_of_a_broken_policy_exits_3_with_the_statement_to_paste(run: Run) -> None:
    policy = json.dumps({"Statement": [PLACE.owner_statement]})

    ended = run("policy", "check", "s3", "-", *WHERE, stdin=policy)

    assert ended.code == 3
    assert "policy.StatementMissing" in ended.out
    pasted = re.search(r"^     \{\n.*?^     \}", ended.out, re.DOTALL | re.MULTILINE)
    assert pasted is not None
    assert json.loads(pasted[0]) == PLACE.build_statements(KeyPurpose.S3)[0]


def test_policy_check_supports_json(run: Run) -> None:
    ended = run(
        "policy", "check", "s3", "-", *WHERE, "-o", "json", stdin=json.dumps({"Statement": [PLACE.owner_statement]})
    )
    assert ended.code == 3
    assert ended.json["usable"] is False
    assert ended.json["findings"][0]["code"] == "policy.StatementMissing"


@pytest.mark.parametrize("content", ["", "{}", "\x00\x01", '{"KeyMetadata": {}}'])
def test_file_that_is_not_a_policy_is_refused(run: Run, content: str) -> None:
    for command in ("check", "merge"):
        ended = run("policy", command, "s3", "-", *WHERE, stdin=content)
        assert ended.code == 2
        assert ended.out == ""


@pytest.mark.parametrize(
    ("arn", "words"), [("alias/x", "--key-arn"), (KEYS[0].replace("eu-central-1", "eu-west-1"), "eu-west-1")]
)
def test_invalid_key_arn_is_refused(run: Run, arn: str, words: str) -> None:
    ended = run(
        "policy", "check", "s3", "-", *WHERE, "--key-arn", arn, stdin=json.dumps({"Statement": [PLACE.owner_statement]})
    )
    assert ended.code == 2
    assert words in ended.err


def test_merged_policy_is_written_as_utf_8(run: Run) -> None:
    policy = {"Version": "2012-10-17", "Id": "Schlüssel", "Statement": [PLACE.owner_statement]}
    ended = run("policy", "merge", "s3", "-", *WHERE, stdin=json.dumps(policy, ensure_ascii=False))
    assert json.loads(ended.out)["Id"] == "Schlüssel"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_merge_keeps_line_endings_and_byte_order_mark(run: Run, tmp_path: Path, end: str, mark: bytes) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    policy = {"Version": "2012-10-17", "Statement": [PLACE.owner_statement]}
    before.write_bytes(mark + json.dumps(policy, indent=2).replace("\n", end).encode())

    ended = run("policy", "merge", "s3", str(before), *WHERE, "--out", str(after))

    expected = {**policy, "Statement": [PLACE.owner_statement, *PLACE.build_statements(KeyPurpose.S3)]}
    assert after.read_bytes() == mark + json.dumps(expected, indent=2).replace("\n", end).encode()
    assert ("byte order mark" in ended.err) is bool(mark)


def test_text_and_yaml_output_of_the_aws_cli_is_checked_and_merged(run: Run) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": [PLACE.owner_statement]}, indent=2)
    merged = run("policy", "merge", "s3", "-", *WHERE, stdin=document).out
    for output in (f"{document}\tdefault\n", yaml.safe_dump({"Policy": document, "PolicyName": "default"})):
        assert "policy.StatementMissing" in run("policy", "check", "s3", "-", *WHERE, stdin=output).out
        assert run("policy", "merge", "s3", "-", *WHERE, stdin=output).out == merged


def test_merge_reports_the_conditions_that_it_drops(run: Run) -> None:
    (statement,) = PLACE.build_statements(KeyPurpose.S3)
    statement["Condition"]["IpAddress"] = {"aws:SourceIp": "203.0.113.0/24"}
    policy = {"Version": "2012-10-17", "Statement": [PLACE.owner_statement, statement]}

    ended = run("policy", "merge", "s3", "-", *WHERE, stdin=json.dumps(policy))

    assert "Replaced: AllowAtaccamaPlatformS3Access" in ended.err
    assert "aws:SourceIp" in ended.err


def test_merge_writes_the_policy_and_reports_the_changes(run: Run, tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps({"Version": "2012-10-17", "Statement": [PLACE.owner_statement]}, indent=2))

    ended = run("policy", "merge", "s3", str(before), *WHERE, "--out", str(after))

    assert ended.code == 0
    assert "Appended: AllowAtaccamaPlatformS3Access" in ended.err
    assert json.loads(after.read_text())["Statement"] == [PLACE.owner_statement, *PLACE.build_statements(KeyPurpose.S3)]
    told = run("policy", "merge", "s3", str(before), *WHERE, "--out", str(after), "--key-arn", KEYS[0]).err
    assert f"aws kms put-key-policy --profile byok --region eu-central-1 --key-id {KEYS[0]}" in told
    assert f"--policy file://{after}" in told
    again = run("policy", "merge", "s3", str(after), *WHERE)
    assert again.out.rstrip("\n") == after.read_text()
    assert "Nothing to do" in again.err


def test_merge_that_would_lock_the_owner_out_is_refused(run: Run) -> None:
    ended = run(
        "policy", "merge", "s3", "-", *WHERE, stdin=json.dumps({"Statement": PLACE.build_statements(KeyPurpose.S3)})
    )
    assert ended.code == 2
    assert ended.out == ""
    assert "could change the policy again" in ended.err


def test_missing_file_is_named(run: Run) -> None:
    for command in (("policy", "check", "s3", "/none.json", *WHERE), ("diagnose", "/none.json")):
        ended = run(*command)
        assert ended.code == 2
        assert "Cannot read /none.json" in ended.err


def test_create_accepts_the_payload_in_every_option(run: Run, service: FakeService) -> None:
    payload = PAYLOAD
    for options in (
        ("--payload", payload),
        ("--s3-key-arn", payload),
        ("--rds-key-arn", json.dumps(json.loads(payload), indent=2)),
        ("--payload", payload, "--s3-key-arn", KEYS[0]),
        ("--payload", payload, "--s3-key-arn", f" {KEYS[0]} "),
        ("--s3-key-arn", f" {KEYS[0]}", "--rds-key-arn", f"{KEYS[1]}\n"),
    ):
        assert run("create", "--name", "acme", "--region", "eu-central-1", *options).code == 0  # contract 50
        request = service.created[-1]
        assert (request.s3_key_arn, request.rds_key_arn) == KEYS


def test_check_accepts_the_payload(run: Run, service: FakeService) -> None:
    assert run("check", "--region", "eu-central-1", "--payload", PAYLOAD).code == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--payload", "{}"), "lacks S3KmsKeyArn"),
        (("--payload", "None"), "the stack name or the Region is wrong"),
        (("--payload", ""), "the stack name or the Region is wrong"),
        (("--s3-key-arn", "null"), "the stack name or the Region is wrong"),
        (("--payload", PAYLOAD, "--region", "eu-central-9"), "--region: not an AWS Region; the nearest name is"),
        (("--payload", PAYLOAD, "--s3-key-arn", KEYS[1]), "--s3-key-arn"),
        (("--payload", PAYLOAD, "--rds-key-arn", "alias/x"), "--rds-key-arn"),
        ((), "Missing"),
    ],
)
def test_invalid_payload_is_refused(run: Run, service: FakeService, options: tuple[str, ...], words: str) -> None:
    ended = run("create", "--name", "acme", "--region", "eu-central-1", *options)
    assert ended.code == 2
    assert words in ended.err
