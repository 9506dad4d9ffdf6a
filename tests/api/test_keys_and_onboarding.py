"""Onboarding material and key checks over HTTP."""

import json
from urllib.parse import parse_qsl

import pytest
import yaml

from byok.api_settings import ApiSettings
from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import StatementParameters, build_key_statements
from byok.domain.phases import Phase
from byok.domain.vendor import VendorProfile
from localaws.kms.policies import build_default_policy
from tests.api.conftest import ApiClient, Serve
from tests.api.test_access import TOKEN, build_static_auth
from tests.collected_keys import PLACE, build_collected_keys
from tests.workflows.fake_activities import EXTERNAL_ID, PLATFORM, RDS_KEY, REGION, S3_KEY, build_aws_failure
from tests.workflows.temporal_env import WorkflowHarness

KEYS = {"region": REGION, "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
GRANTEE = StatementParameters.for_platform_role(PLATFORM.role_arn, REGION)


def build_key_policy(which: KeyPurpose) -> str:
    document = build_default_policy("444455556666", REGION)
    document["Statement"] += build_key_statements(which, GRANTEE, VendorProfile())
    return json.dumps(document)


def build_script_output() -> str:
    """Build the output of the key administrator's script for two usable keys and the platform role of the tests."""
    output = build_collected_keys().model_dump_json()
    return output.replace(PLACE.role, PLATFORM.role_arn).replace(PLACE.role.split(":")[4], PLATFORM.account)


async def test_onboarding_values_are_filled_in(portal: ApiClient) -> None:
    """Contract 15-18, 25, 26."""
    answer = await portal.http.get(f"/v1/onboarding/{REGION}", params={"profile": "mine", "stack_name": "keys"})
    values = answer.json()
    assert (values["platform_role_arn"], values["region"]) == (PLATFORM.role_arn, REGION)
    assert "${" not in answer.text
    assert "--profile mine" in values["commands"]["deploy"]
    assert "--stack-name keys" in values["commands"]["deploy"]
    assert values["statements"]["s3"] == build_key_statements(KeyPurpose.S3, GRANTEE, VendorProfile())


ROLE_VALUES = {"environment_id": "acme", "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}


async def test_values_with_keys_have_the_commands_for_the_tenant_role(portal: ApiClient) -> None:
    without = (await portal.http.get(f"/v1/onboarding/{REGION}", params={"environment_id": "acme"})).json()
    staff = (await portal.http.get(f"/v1/onboarding/{REGION}", params=ROLE_VALUES)).json()
    of_globex = (
        await portal.http.get(f"/v1/onboarding/{REGION}", params={**ROLE_VALUES, "organisation": "globex"})
    ).json()

    assert (without["external_id"], without["commands"]["deploy_tenant_role"]) == (None, None)
    assert (staff["external_id"], of_globex["external_id"]) == (EXTERNAL_ID, f"{EXTERNAL_ID}-of-globex")
    assert f"ExternalId={EXTERNAL_ID}-of-globex " in of_globex["commands"]["deploy_tenant_role"]


async def test_organisation_sees_only_its_own_external_id(serve: Serve) -> None:
    portal: ApiClient = await serve(build_static_auth("acme", "environments:read"), token=TOKEN)
    told = await portal.http.get(f"/v1/onboarding/{REGION}", params={**ROLE_VALUES, "organisation": "globex"})
    assert told.json()["external_id"] == f"{EXTERNAL_ID}-of-acme"  # contract D11
    assert "globex" not in told.text


async def test_invalid_keys_are_refused_before_the_external_id_is_read(
    portal: ApiClient, harness: WorkflowHarness
) -> None:
    told = await portal.http.get(f"/v1/onboarding/{REGION}", params={**ROLE_VALUES, "rds_key_arn": "alias/mine"})
    assert (told.status_code, "alias" in told.json()["detail"]) == (422, True)
    assert "get_external_id" not in harness.activities.calls


async def test_template_downloads_under_its_file_name(portal: ApiClient) -> None:
    answer = await portal.http.get(f"/v1/onboarding/{REGION}/template")
    assert answer.headers["content-disposition"] == 'attachment; filename="byok-kms-keys.yaml"'  # contract 24
    assert "AtaccamaPlatformRoleArn" in answer.text
    assert "Resources:" in answer.text
    assert yaml.compose(answer.text) is not None


@pytest.mark.parametrize(
    ("kind", "file", "words"),
    [("terraform", "byok-kms-keys.tf", PLATFORM.role_arn), ("tenant-role", "byok-tenant-role.yaml", "ExternalId")],
)
async def test_other_files_download_under_their_names(portal: ApiClient, kind: str, file: str, words: str) -> None:
    answer = await portal.http.get(f"/v1/onboarding/{REGION}/template", params={"kind": kind})
    assert answer.headers["content-disposition"] == f'attachment; filename="{file}"'
    assert words in answer.text


async def test_stack_can_be_launched_if_the_vendor_has_uploaded_the_template(serve: Serve) -> None:
    url = "https://vendor.s3.eu-central-1.amazonaws.com/byok-kms-keys.yaml"
    without = await (await serve()).http.get(f"/v1/onboarding/{REGION}", params={"stack_name": "keys"})
    portal: ApiClient = await serve(settings=ApiSettings(template_url=url))
    launch = (await portal.http.get(f"/v1/onboarding/{REGION}", params={"stack_name": "keys"})).json()
    assert without.json()["launch_stack_url"] is None
    place, _, fragment = launch["launch_stack_url"].partition("#")
    assert place == f"https://{REGION}.console.aws.amazon.com/cloudformation/home?region={REGION}"
    page, _, query = fragment.partition("?")
    assert page == "/stacks/create/review"
    assert dict(parse_qsl(query)) == {
        "templateURL": url,
        "stackName": "keys",
        "param_AtaccamaPlatformRoleArn": PLATFORM.role_arn,
        "param_PlatformRegion": REGION,
    }


async def test_script_contains_the_keys_and_its_output_is_diagnosed(portal: ApiClient) -> None:
    answer = await portal.http.get(f"/v1/onboarding/{REGION}/script", params={"s3_key_arn": S3_KEY})
    assert answer.headers["content-disposition"] == 'attachment; filename="byok-keys.sh"'
    assert S3_KEY in answer.text
    facts = json.loads(build_script_output())
    good = (await portal.http.post("/v1/diagnoses", json={"output": f"$ {json.dumps(facts)} $"})).json()
    facts["s3"]["describe_key"]["KeyMetadata"]["KeyState"] = "Disabled"
    bad = (await portal.http.post("/v1/diagnoses", json={"output": json.dumps(facts)})).json()
    assert (good["usable"], good["findings"]) == (True, [])
    assert bad["usable"] is False
    assert (bad["findings"][0]["code"], bad["findings"][0]["key"]) == ("key.Disabled", "s3")


async def test_output_that_cannot_be_diagnosed_is_refused_with_the_reason(portal: ApiClient) -> None:
    other = {**json.loads(build_script_output()), "platform_role_arn": PLATFORM.role_arn + "2"}
    for output, words in (("no output", "not the script's output"), (json.dumps(other), "for the platform role")):
        answer = await portal.http.post("/v1/diagnoses", json={"output": output})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "output")
        assert words in answer.text
    assert (await portal.http.post("/v1/diagnoses", json={"output": "x" * 200_001})).status_code == 422


@pytest.mark.parametrize("which", KeyPurpose)
async def test_statements_are_elements_of_a_statement_array(portal: ApiClient, which: KeyPurpose) -> None:
    answer = await portal.http.get(f"/v1/onboarding/{REGION}/statements/{which.value}")
    assert answer.json() == build_key_statements(which, GRANTEE, VendorProfile())  # contract 27


async def test_commands_use_a_stack_for_each_environment(portal: ApiClient) -> None:
    answer = await portal.http.get(f"/v1/onboarding/{REGION}", params={"environment_id": "acme"})
    assert "--stack-name byok-kms-keys-acme" in answer.json()["commands"]["deploy"]  # contract 130
    missing = await portal.http.get(f"/v1/onboarding/{REGION}")
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "environment_id")


async def test_region_of_another_partition_is_refused_with_the_reason(portal: ApiClient) -> None:
    answer = await portal.http.get("/v1/onboarding/cn-north-1", params={"environment_id": "acme"})
    assert answer.status_code == 422
    assert "aws-cn" in answer.json()["detail"]


async def test_check_reports_all_findings_of_both_keys_at_once(portal: ApiClient, harness: WorkflowHarness) -> None:
    harness.activities.script["probe_s3_key"] = [
        build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.VALIDATING_KEYS)
    ]
    answer = await portal.http.post("/v1/key-checks", json={**KEYS, "key_grace_seconds": 0})
    bad = await portal.http.post("/v1/key-checks", json={**KEYS, "s3_key_arn": "alias/x", "rds_key_arn": "nonsense"})
    assert [one["code"] for one in answer.json()["findings"]] == ["s3.KMS.DisabledException"]
    assert [one["key"] for one in bad.json()["findings"]] == ["s3", "rds"]
    assert all(one["remediation"] for one in bad.json()["findings"])


async def test_aurora_key_is_proved_only_on_request(portal: ApiClient) -> None:
    answers = [
        (await portal.http.post("/v1/key-checks", json={**KEYS, **more})).json()
        for more in ({}, {"prove_aurora_key": True})
    ]
    assert [answer["findings"] for answer in answers] == [[], []]
    verdicts = [[answer["keys"][which]["verdict"] for which in ("s3", "rds")] for answer in answers]
    assert verdicts == [["verified", "not verified"], ["verified", "verified"]]  # contract 126
    assert answers[1]["keys"]["rds"]["request_id"] == "rds-request"


async def test_policy_check_has_a_row_per_permission(portal: ApiClient) -> None:
    for which in KeyPurpose:
        body = {"key": which.value, "region": REGION, "policy": build_key_policy(which)}
        right = (await portal.http.post("/v1/policy-checks", json=body)).json()
        wrong = (
            await portal.http.post("/v1/policy-checks", json={**body, "policy": build_key_policy(which.other)})
        ).json()
        assert (right["usable"], right["findings"]) == (True, [])
        assert {row["verdict"] for row in right["permissions"]} == {"allowed"}
        assert wrong["usable"] is False
        assert wrong["findings"][0]["remediation"]["steps"]


async def test_policy_check_accepts_text_and_yaml_output_of_the_aws_cli(portal: ApiClient) -> None:
    document = json.dumps(json.loads(build_key_policy(KeyPurpose.S3)), indent=2)
    for policy in (f"{document}\tdefault\n", yaml.safe_dump({"Policy": document, "PolicyName": "default"})):
        body = {"key": "s3", "region": REGION, "policy": policy}
        assert (await portal.http.post("/v1/policy-checks", json=body)).json()["usable"] is True


async def test_misspelt_region_is_refused_with_the_nearest_one(portal: ApiClient) -> None:
    for answer in (
        await portal.http.get("/v1/onboarding/eu-central-9"),
        await portal.http.post("/v1/key-checks", json={**KEYS, "region": "eu-central-9"}),
    ):
        assert answer.status_code == 422
        assert "the nearest name is eu-central-1" in answer.text  # contract 133


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"policy": "not json"}, "policy"),
        ({"policy": "{}", "key_arn": "alias/x"}, "key_arn"),
        ({"policy": build_key_policy(KeyPurpose.S3), "key_arn": S3_KEY.replace(REGION, "us-east-1")}, "key_arn"),
        ({"policy": "{}", "region": "nowhere"}, "region"),
        ({"policy": "{}", "region": "eu-central-9"}, "region"),
        ({"policy": "{}", "key": "ebs"}, "key"),
        ({}, "policy"),
    ],
)
async def test_invalid_policy_check_names_the_field(portal: ApiClient, body: dict[str, str], field: str) -> None:
    answer = await portal.http.post("/v1/policy-checks", json={"key": "s3", "region": REGION, **body})
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
