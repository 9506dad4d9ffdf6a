"""For every broken S3 key and Aurora key, the problem has AWS's code and the right remedy, and no resource is left."""

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.arns import KeyPurpose
from byok.domain.models import Problem
from byok.domain.phases import Phase
from tests.activities.conftest import ActivityHarness, parse_stop_problem
from tests.key_faults import KEY_FAULTS, KeyFault
from tests.localaws.server import AwsHarness

AT_AWS = [breakage for breakage in KEY_FAULTS if not breakage.is_found_by_rule]
BY_RULE = [breakage for breakage in KEY_FAULTS if breakage.is_found_by_rule]


def fault_id(breakage: KeyFault) -> str:
    return breakage.name


def problem_from_s3(harness: ActivityHarness) -> Problem:
    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    return parse_stop_problem(caught.value)


def problem_from_rds(harness: ActivityHarness) -> Problem:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    harness.aws.call_control("DELETE", "calls")
    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    return parse_stop_problem(caught.value)


@pytest.mark.parametrize("breakage", AT_AWS, ids=fault_id)
def test_unusable_s3_key_stops_with_the_error_from_s3(harness: ActivityHarness, breakage: KeyFault) -> None:
    arn = breakage.make(harness.aws, KeyPurpose.S3)
    harness.plan = harness.build_plan(s3_key_arn=arn)

    problem = problem_from_s3(harness)  # contract 86-90

    assert problem.code == breakage.s3_code
    assert breakage.words in problem.message
    assert (problem.key, problem.key_arn, problem.phase) == (KeyPurpose.S3, arn, Phase.VALIDATING_KEYS)
    assert problem.operation == "PutObject"
    assert problem.request_id
    assert arn in problem.remediation
    if breakage.definite:
        # The first call failed because the bucket did not exist yet.
        assert [call for call in harness.aws.list_calls() if call == "PutObject"] == ["PutObject", "PutObject"]


@pytest.mark.parametrize("breakage", AT_AWS, ids=fault_id)
def test_unusable_aurora_key_stops_and_leaves_nothing_behind(harness: ActivityHarness, breakage: KeyFault) -> None:
    arn = breakage.make(harness.aws, KeyPurpose.RDS)
    harness.plan = harness.build_plan(rds_key_arn=arn)

    problem = problem_from_rds(harness)  # contract 91, 93

    assert problem.code == "rds.KMSKeyNotAccessibleFault"
    assert f"[{arn}]" in problem.message
    assert (problem.key, problem.key_arn, problem.phase) == (KeyPurpose.RDS, arn, Phase.CREATING_CLUSTER)
    assert arn in problem.remediation
    assert "AllowAtaccamaPlatformRDSGrants" in problem.remediation
    assert harness.aws.operator_client("rds").describe_db_clusters()["DBClusters"] == []
    claims = harness.aws.operator_client("s3").list_objects_v2(
        Bucket=harness.plan.environment.probe_bucket, Prefix="claims/"
    )
    assert claims["KeyCount"] == 0  # another attempt can claim the keys


@pytest.mark.parametrize("which", KeyPurpose)
@pytest.mark.parametrize("breakage", BY_RULE, ids=fault_id)
def test_invalid_arn_is_found_without_calling_aws(
    aws: AwsHarness, harness: ActivityHarness, breakage: KeyFault, which: KeyPurpose
) -> None:
    arn = breakage.make(aws, which)

    plan = harness.build_plan(**{f"{which}_key_arn": arn})

    found = [problem for problem in plan.findings if problem.key is which]
    assert breakage.code_for(which) in {problem.code for problem in found}
    assert all(arn == problem.key_arn for problem in found)
    assert breakage.words in found[0].message


def test_direct_describe_key_is_denied_on_a_valid_key(harness: ActivityHarness) -> None:
    harness.provision_environment()  # READY anyway: contract 74, D2

    for arn in (harness.plan.environment.s3_key_arn, harness.plan.environment.rds_key_arn):
        with pytest.raises(harness.aws.platform_client("kms").exceptions.ClientError) as caught:
            harness.aws.platform_client("kms").describe_key(KeyId=arn)
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_key_of_another_environment_is_refused(harness: ActivityHarness) -> None:
    harness.provision_environment()
    first = harness.plan.environment
    harness.plan = harness.build_plan(s3_key_arn=first.s3_key_arn)
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)

    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)

    problem = parse_stop_problem(caught.value)  # contract 123
    assert problem.code == "byok.KeyInUse"
    assert first.environment_id in problem.message
    assert len(harness.aws.operator_client("rds").describe_db_clusters()["DBClusters"]) == 1


def test_environment_of_another_organisation_is_not_named(harness: ActivityHarness) -> None:
    harness.provision_environment()
    first = harness.plan.environment
    harness.plan = harness.build_plan(environment_id="stranger-prod", s3_key_arn=first.s3_key_arn)

    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)

    message = parse_stop_problem(caught.value).message
    assert "of another environment" in message
    assert first.environment_id not in message
