"""The workflow that checks keys returns findings as its result, and does not fail because of them."""

import uuid

from byok.contracts import CHECK_KEYS_WORKFLOW
from byok.domain.arns import KeyPurpose
from byok.domain.models import CheckKeysRequest, KeyCheckResult
from byok.domain.phases import Phase
from tests.workflows.fake_activities import RDS_KEY, REGION, S3_KEY, build_aws_failure
from tests.workflows.temporal_env import WorkflowHarness


async def check(harness: WorkflowHarness, s3_key_arn: str = S3_KEY, rds_key_arn: str = RDS_KEY) -> KeyCheckResult:
    answer: KeyCheckResult = await harness.client.execute_workflow(
        CHECK_KEYS_WORKFLOW,
        CheckKeysRequest(region=REGION, s3_key_arn=s3_key_arn, rds_key_arn=rds_key_arn),
        id=f"keys/{uuid.uuid4().hex}",
        task_queue=harness.task_queue,
        result_type=KeyCheckResult,
    )
    return answer


async def test_valid_keys_are_proved_through_s3_only(harness: WorkflowHarness) -> None:
    answer = await check(harness)

    assert answer.findings == ()
    assert [proof.key for proof in answer.proofs] == [KeyPurpose.S3]
    assert harness.activities.calls == ["plan_key_check", "probe_s3_key"]


async def test_refused_key_is_a_result(harness: WorkflowHarness) -> None:
    harness.activities.script["probe_s3_key"] = [
        build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.VALIDATING_KEYS)
    ]

    answer = await check(harness)

    assert [(finding.key, finding.code) for finding in answer.findings] == [(KeyPurpose.S3, "s3.KMS.DisabledException")]
    assert answer.proofs == ()


async def test_same_key_twice_is_found(harness: WorkflowHarness) -> None:
    answer = await check(harness, rds_key_arn=S3_KEY)

    assert [(finding.key, finding.code) for finding in answer.findings] == [(KeyPurpose.RDS, "arn.SameKeyTwice")]  # D7
