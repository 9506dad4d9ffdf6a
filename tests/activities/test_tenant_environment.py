"""byok puts a tenant name only on the keys of an existing environment (contract 12, 123)."""

from collections.abc import Callable
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities.tenant import TenantActivities
from byok.domain import naming
from byok.domain.arns import KeyPurpose
from byok.domain.models import Environment, Problem
from tests.activities.conftest import PLATFORM, ActivityHarness, parse_stop_problem
from tests.localaws.server import REGION
from tests.remedy_text import text_of


@pytest.fixture
def probe(harness: ActivityHarness) -> Callable[..., tuple[Problem, ...]]:
    activities = TenantActivities(harness.clients, PLATFORM)

    def probe(**changes: str) -> tuple[Problem, ...]:
        environment: Environment = harness.plan.environment.model_copy(update=changes)
        findings: tuple[Problem, ...] = harness.run_with_retries(activities.probe_environment, environment).findings
        return findings

    return probe


Probe = Callable[..., tuple[Problem, ...]]


def provision_partial_environment(harness: ActivityHarness, buckets: int) -> None:
    """Create the cluster and only the given number of buckets."""
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    for index in range(buckets):
        harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task(index))


def test_environment_on_its_own_keys_has_no_findings(harness: ActivityHarness, probe: Probe) -> None:
    harness.provision_environment()
    assert probe() == ()


def test_bucket_added_to_the_blueprint_later_is_not_a_finding(harness: ActivityHarness, probe: Probe) -> None:
    provision_partial_environment(harness, buckets=1)
    assert probe() == ()


@pytest.mark.parametrize(
    ("which", "code"),
    [
        (KeyPurpose.S3, "s3.KMS.DisabledException"),
        (KeyPurpose.RDS, "rds.inaccessible-encryption-credentials-recoverable"),
    ],
)
def test_name_is_not_put_on_a_lost_key(harness: ActivityHarness, probe: Probe, which: KeyPurpose, code: str) -> None:
    harness.provision_environment()
    key = harness.plan.environment.key_arn(which)
    harness.aws.customer_client("kms").disable_key(KeyId=key)

    with pytest.raises(ApplicationError) as stopped:
        probe()

    problem = parse_stop_problem(stopped.value)
    assert (problem.code, problem.key, problem.key_arn) == (code, which, key)


@pytest.mark.parametrize("which", KeyPurpose)
def test_wrong_key_is_reported_with_the_right_one(harness: ActivityHarness, probe: Probe, which: KeyPurpose) -> None:
    provision_partial_environment(harness, buckets=2)
    other = harness.aws.create_key()

    (problem,) = probe(**{f"{which}_key_arn": other})

    assert (problem.code, problem.key, problem.key_arn) == ("byok.NotThisEnvironmentsKeys", which, other)
    right = harness.plan.environment.key_arn(which)
    assert problem.message.count(f"is encrypted with {right}") == (1 if which is KeyPurpose.RDS else 2)
    assert text_of(problem.remediation).endswith(f"Retry with the correct ARN as {which.field_label}.")


def test_both_keys_of_another_environment_are_reported_together(harness: ActivityHarness, probe: Probe) -> None:
    provision_partial_environment(harness, buckets=1)
    found = probe(s3_key_arn=harness.aws.create_s3_key(), rds_key_arn=harness.aws.create_rds_key())
    assert [problem.key for problem in found] == list(KeyPurpose)


def test_environment_without_a_cluster_is_not_found(harness: ActivityHarness, probe: Probe) -> None:  # contract 12
    (problem,) = probe()
    assert (problem.code, problem.key) == ("byok.EnvironmentNotThere", None)
    assert f"no cluster byok-{harness.plan.environment.environment_id} in {REGION}" in problem.message
    assert "byok list" in text_of(problem.remediation)


def test_environment_without_a_bucket_is_not_found(harness: ActivityHarness, probe: Probe) -> None:
    provision_partial_environment(harness, buckets=0)
    (problem,) = probe()
    assert problem.code == "byok.EnvironmentNotThere"
    for bucket in harness.plan.buckets:
        assert bucket.name in problem.message


def test_untagged_cluster_and_bucket_of_the_same_name_are_ignored(harness: ActivityHarness, probe: Probe) -> None:
    provision_partial_environment(harness, buckets=1)
    rds, s3 = harness.aws.operator_client("rds"), harness.aws.operator_client("s3")
    tag: Any = naming.environment_tag_key(PLATFORM.vendor)
    s3.delete_bucket_tagging(Bucket=harness.plan.buckets[0].name)
    assert [problem.code for problem in probe()] == ["byok.EnvironmentNotThere"]

    (cluster,) = rds.describe_db_clusters(DBClusterIdentifier=harness.plan.cluster.identifier)["DBClusters"]
    rds.remove_tags_from_resource(ResourceName=cluster["DBClusterArn"], TagKeys=[tag])
    assert "no cluster" in probe()[0].message
