"""For every broken S3 key and Aurora key, the problem has AWS's code and the right remedy.

No resource is left behind.
"""

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.arns import KeyPurpose, parse_key_arn
from byok.domain.models import AccountRequest, AuroraProofTask, Problem
from byok.domain.phases import Phase
from tests.activities.conftest import ActivityHarness, parse_stop_problem
from tests.key_faults import KEY_FAULTS, KeyFault, create_s3_key_with_pinned_context
from tests.localaws.server import AwsHarness
from tests.remedy_text import text_of

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

    problem = problem_from_s3(harness)  # contract 6, 52, 86-90

    assert problem.code == breakage.s3_code
    assert breakage.words in problem.message
    assert (problem.key, problem.key_arn, problem.phase) == (KeyPurpose.S3, arn, Phase.VALIDATING_KEYS)
    assert problem.operation == breakage.s3_operation
    assert problem.request_id
    assert arn in text_of(problem.remediation)
    if breakage.definite:
        # The first PutObject failed because the probe bucket did not exist yet.
        assert [call for call in harness.aws.list_calls() if call == "PutObject"] == ["PutObject", "PutObject"]


@pytest.mark.parametrize("breakage", AT_AWS, ids=fault_id)
def test_unusable_aurora_key_stops_and_leaves_nothing_behind(harness: ActivityHarness, breakage: KeyFault) -> None:
    arn = breakage.make(harness.aws, KeyPurpose.RDS)
    harness.plan = harness.build_plan(rds_key_arn=arn)

    problem = problem_from_rds(harness)  # contract 91, 93

    assert problem.code == "rds.KMSKeyNotAccessibleFault"
    assert f"[{arn}]" in problem.message
    assert (problem.key, problem.key_arn, problem.phase) == (KeyPurpose.RDS, arn, Phase.CREATING_CLUSTER)
    assert arn in text_of(problem.remediation)
    assert "AllowAtaccamaPlatformRDSGrants" in text_of(problem.remediation)
    assert harness.aws.operator_client("rds").describe_db_clusters()["DBClusters"] == []
    harness.run_with_retries(harness.claims.release_unused_claims, harness.plan.environment)
    claims = harness.aws.operator_client("s3").list_objects_v2(
        Bucket=harness.plan.environment.probe_bucket, Prefix="claims/"
    )
    assert claims["KeyCount"] == 0  # contract 138: the keys can be claimed again


@pytest.mark.parametrize("breakage", AT_AWS, ids=fault_id)
def test_proof_of_an_unusable_aurora_key_is_refused_and_makes_nothing(
    harness: ActivityHarness, breakage: KeyFault
) -> None:
    arn = breakage.make(harness.aws, KeyPurpose.RDS)
    environment = harness.build_plan(rds_key_arn=arn).environment

    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(
            harness.proofs.ensure_proof_cluster, AuroraProofTask(environment=environment, proof_id="proof-1")
        )

    problem = parse_stop_problem(caught.value)  # contract 126
    assert problem.code == "rds.KMSKeyNotAccessibleFault"
    assert f"[{arn}]" in problem.message
    assert (problem.key, problem.key_arn, problem.phase) == (KeyPurpose.RDS, arn, Phase.VALIDATING_KEYS)
    assert harness.aws.operator_client("rds").describe_db_clusters()["DBClusters"] == []


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
    account = parse_key_arn(first.s3_key_arn).account
    harness.run_with_retries(
        harness.accounts.register_account, AccountRequest(organisation="stranger", account=account)
    )
    harness.plan = harness.build_plan(
        organisation="stranger", environment_id="stranger-prod", s3_key_arn=first.s3_key_arn
    )

    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)

    message = parse_stop_problem(caught.value).message
    assert "of another environment" in message
    assert first.environment_id not in message


def test_both_keys_of_another_environment_are_reported_at_once(harness: ActivityHarness) -> None:
    harness.provision_environment()
    first = harness.plan.environment
    keys = {"s3_key_arn": first.s3_key_arn, "rds_key_arn": first.rds_key_arn}
    harness.plan = harness.build_plan(**keys)

    looked_up = harness.run_with_retries(harness.keys.probe_key_claims, harness.plan.environment).problems
    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)

    stops = [Problem.model_validate(detail) for detail in caught.value.details]
    for problems in (looked_up, stops):  # contract 129
        assert [(one.code, one.key) for one in problems] == [("byok.KeyInUse", which) for which in KeyPurpose]
    assert harness.run_with_retries(harness.keys.probe_key_claims, first).problems == (), "they are its own"


def test_claims_are_looked_up_without_claiming_anything(harness: ActivityHarness) -> None:
    environment = harness.build_plan(s3_key_arn="alias/not-an-arn").environment
    assert harness.run_with_retries(harness.keys.probe_key_claims, environment).problems == ()
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    assert harness.run_with_retries(harness.keys.probe_key_claims, harness.plan.environment).problems == ()
    stored = harness.aws.operator_client("s3").list_objects_v2(Bucket=environment.probe_bucket)
    assert stored["KeyCount"] == 0, "neither a claim nor a probe is left"


def test_exchanged_arns_are_recognised_by_proof(harness: ActivityHarness) -> None:
    s3, rds = harness.plan.environment.s3_key_arn, harness.plan.environment.rds_key_arn
    harness.plan = harness.build_plan(s3_key_arn=rds, rds_key_arn=s3)

    problem = problem_from_s3(harness)  # contract 127

    assert problem.code == "byok.KeysExchanged"
    assert "kms:GenerateDataKey" in problem.message, "AWS's own message"
    remedy = text_of(problem.remediation)
    assert f"Use {s3} as S3 key ARN.\nUse {rds} as RDS key ARN.\n" in remedy
    assert "Statement array" not in remedy
    assert problem.request_id


@pytest.mark.parametrize(
    ("pattern", "verdict"),
    [
        ("arn:aws:s3:::byok-*/*", "cannot be used"),
        ("arn:aws:s3:::byok-*-central-1", "not verified"),
        ("arn:aws:s3:::byok-*", "verified"),
    ],
)
def test_policy_that_pins_arns_is_proved_only_if_buckets_and_objects_are_allowed(
    harness: ActivityHarness, pattern: str, verdict: str
) -> None:
    harness.plan = harness.build_plan(s3_key_arn=create_s3_key_with_pinned_context(harness.aws, pattern))

    if verdict == "cannot be used":  # the environment's buckets use S3 Bucket Keys, so the context is the bucket's ARN
        assert problem_from_s3(harness).code == "s3.AccessDenied"
        return
    found = harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    assert (found.key, found.verdict) == (KeyPurpose.S3, verdict)  # contract 126
    assert (found.reason is None) == (verdict == "verified")
    if verdict == "not verified":
        assert "pins kms:EncryptionContext:aws:s3:arn" in found.reason


def test_object_without_a_bucket_key_decides_the_probe(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)  # creates the probe bucket
    harness.aws.call_control("DELETE", "calls")

    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)

    writes = [call for call in harness.aws.call_control("GET", "calls")["calls"] if call["operation"] == "PutObject"]
    assert [call["params"]["BucketKeyEnabled"] for call in writes] == ["false", "true"]  # D13


def test_probe_reports_who_used_the_key_and_when(harness: ActivityHarness) -> None:
    found = harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)

    assert (found.verdict, found.service, found.key_arn) == ("verified", "S3", harness.plan.environment.s3_key_arn)
    assert found.at is not None  # contract 126
    assert found.request_id
