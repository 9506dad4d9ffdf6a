"""The workflow that checks keys reports a refused key in its result, and does not fail."""

import uuid
from typing import Any

from byok.contracts import CHECK_KEYS_WORKFLOW
from byok.domain.arns import KeyPurpose
from byok.domain.models import CheckKeysRequest, KeyCheckResult
from byok.domain.phases import KeyVerdict, Phase
from byok.domain.problems.remediation import Remedy
from tests.remedy_text import text_of
from tests.workflows.fake_activities import (
    RDS_KEY,
    REGION,
    S3_KEY,
    build_aws_failure,
    build_exchanged_failure,
    build_key_problem,
)
from tests.workflows.temporal_env import WorkflowHarness

NOT_ACCESSIBLE = ("rds", "KMSKeyNotAccessibleFault", f"The specified KMS key [{RDS_KEY}] isn't accessible.")
DISABLED = ("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.")
PROVED, REFUSED, NOT_PROVED = KeyVerdict.PROVED, KeyVerdict.REFUSED, KeyVerdict.NOT_PROVED


async def check(harness: WorkflowHarness, **changes: Any) -> KeyCheckResult:
    values = {"region": REGION, "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY, "prove_aurora_key": True}
    answer: KeyCheckResult = await harness.client.execute_workflow(
        CHECK_KEYS_WORKFLOW,
        CheckKeysRequest.model_validate(values | changes),
        id=f"keys/{uuid.uuid4().hex}",
        task_queue=harness.task_queue,
        result_type=KeyCheckResult,
    )
    return answer


def verdicts(answer: KeyCheckResult) -> list[KeyVerdict]:
    return [one.verdict for one in answer.keys.both]


async def test_valid_keys_are_proved_each_through_its_service(harness: WorkflowHarness) -> None:
    answer = await check(harness)

    assert verdicts(answer) == [PROVED, PROVED]  # contract 126
    assert [(one.service, one.request_id) for one in answer.keys.both] == [
        ("S3", "7A62C49F347FC4E8"),
        ("RDS", "rds-request"),
    ]
    assert all(one.at for one in answer.keys.both)
    assert answer.findings == ()
    assert harness.activities.calls[:2] == ["plan_key_check", "probe_key_claims"]


async def test_aurora_key_without_a_proof_is_not_proved(harness: WorkflowHarness) -> None:
    answer = await check(harness, prove_aurora_key=False)

    assert verdicts(answer) == [PROVED, NOT_PROVED]  # contract 126
    assert "without a proof of the Aurora key" in str(answer.keys.rds.reason)
    assert "await_aurora_proof" not in harness.activities.calls


async def test_platform_setting_turns_the_proof_off(harness: WorkflowHarness) -> None:
    harness.activities.allows_aurora_proof = False

    answer = await check(harness)

    assert verdicts(answer) == [PROVED, NOT_PROVED]
    assert "settings turn off the proof of Aurora keys" in str(answer.keys.rds.reason)


async def test_both_refused_keys_are_results(harness: WorkflowHarness) -> None:
    script = harness.activities.script
    script["probe_s3_key"] = [build_aws_failure(*DISABLED, Phase.VALIDATING_KEYS)]
    script["await_aurora_proof"] = [build_aws_failure(*NOT_ACCESSIBLE, Phase.VALIDATING_KEYS)]

    answer = await check(harness)

    assert verdicts(answer) == [REFUSED, REFUSED]
    assert [(finding.key, finding.code) for finding in answer.findings] == [
        (KeyPurpose.S3, "s3.KMS.DisabledException"),
        (KeyPurpose.RDS, "rds.KMSKeyNotAccessibleFault"),
    ]  # contract 128


async def test_fault_of_the_platform_leaves_a_key_not_proved(harness: WorkflowHarness) -> None:
    quota = ("rds", "DBClusterQuotaExceededFault", "You cannot create more clusters.")
    harness.activities.script["await_aurora_proof"] = [build_aws_failure(*quota, Phase.VALIDATING_KEYS)]

    answer = await check(harness)

    assert verdicts(answer) == [PROVED, NOT_PROVED]
    assert answer.keys.rds.reason == "rds.DBClusterQuotaExceededFault: You cannot create more clusters."
    assert [finding.key for finding in answer.findings] == [None]


async def test_same_key_twice_is_found(harness: WorkflowHarness) -> None:
    answer = await check(harness, rds_key_arn=S3_KEY)

    assert [(finding.key, finding.code) for finding in answer.findings] == [(KeyPurpose.RDS, "arn.SameKeyTwice")]  # D7
    assert verdicts(answer) == [PROVED, REFUSED]


async def test_keys_of_other_environments_are_reported_both_and_not_used(harness: WorkflowHarness) -> None:
    harness.activities.conflicts = tuple(
        build_key_problem("byok.KeyInUse", which, Remedy.KEY_IN_USE) for which in KeyPurpose
    )

    answer = await check(harness, environment_id="acme")

    assert verdicts(answer) == [REFUSED, REFUSED]  # contract 129
    assert [finding.key for finding in answer.findings] == [KeyPurpose.S3, KeyPurpose.RDS]
    assert harness.activities.calls == ["plan_key_check", "probe_key_claims"]
    assert harness.activities.inputs["probe_key_claims"][0].environment_id == "acme"


async def test_exchanged_arns_refuse_both_keys_with_one_problem(harness: WorkflowHarness) -> None:
    script = harness.activities.script
    script["probe_s3_key"] = [build_exchanged_failure()]
    script["await_aurora_proof"] = [build_aws_failure(*NOT_ACCESSIBLE, Phase.VALIDATING_KEYS)]

    answer = await check(harness)

    assert verdicts(answer) == [REFUSED, REFUSED]  # contract 127
    assert [finding.code for finding in answer.findings] == ["byok.KeysExchanged"]
    assert answer.keys.rds.problem is not None
    assert (answer.keys.rds.problem.code, answer.keys.rds.problem.key_arn) == ("byok.KeysExchanged", RDS_KEY)
    remedy = text_of(answer.findings[0].remediation)
    assert f"Use {RDS_KEY} as S3 key ARN.\nUse {S3_KEY} as RDS key ARN.\n" in remedy
    assert "Statement array" not in remedy


async def test_keys_are_not_used_in_a_region_that_is_not_in_use(harness: WorkflowHarness) -> None:
    keys = {name: arn.replace(REGION, "us-west-2") for name, arn in (("s3_key_arn", S3_KEY), ("rds_key_arn", RDS_KEY))}

    answer = await check(harness, region="us-west-2", **keys)

    assert verdicts(answer) == [NOT_PROVED, NOT_PROVED]
    assert [one.code for one in answer.findings] == ["byok.RegionNotInUse"]
    for one in answer.keys.both:
        assert f"The Regions in use are {REGION} (BYOK_REGIONS)." in str(one.reason)
    assert set(harness.activities.calls) == {"plan_key_check", "probe_key_claims"}
