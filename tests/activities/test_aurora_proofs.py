"""Check that RDS can use an Aurora key by creating a temporary cluster in the local AWS emulator.

The tests check the verdicts, the maximum number of clusters, and the removal of the clusters.
"""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from activities import aurora_proofs
from activities.aurora_proofs import AuroraProofActivities
from byok.domain.models import AuroraProofTask, CheckedKey
from tests.activities.conftest import ActivityHarness

NAMES = [f"byok-key-proof-cluster-without-instances-{slot}" for slot in (1, 2, 3)]


def prove(
    harness: ActivityHarness, proof_id: str = "proof-1", organisation: str | None = None, **keys: str
) -> CheckedKey:
    environment = harness.build_plan(**keys).environment if keys else harness.plan.environment
    environment = environment.model_copy(update={"organisation": organisation})
    task = AuroraProofTask(environment=environment, proof_id=proof_id)
    found: CheckedKey = harness.run_with_retries(harness.proofs.ensure_proof_cluster, task)
    return found


def list_clusters(harness: ActivityHarness) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = harness.aws.operator_client("rds").describe_db_clusters()["DBClusters"]
    return found


def remove(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.proofs.remove_proof_clusters, harness.plan.environment)


def test_answer_of_create_db_cluster_is_the_proof(harness: ActivityHarness) -> None:
    found = prove(harness)

    key = harness.plan.environment.rds_key_arn
    assert (found.verdict, found.service, found.key_arn) == ("verified", "RDS", key)  # contract 126
    assert found.at is not None
    assert found.request_id
    (cluster,) = list_clusters(harness)
    assert (cluster["DBClusterIdentifier"], cluster["KmsKeyId"]) == (NAMES[0], key)
    assert (cluster["DBClusterMembers"], cluster["DeletionProtection"]) == ([], False)
    assert {"Key": "byok:key-proof", "Value": key} in cluster["TagList"]


def test_nothing_is_left_after_the_removal(harness: ActivityHarness) -> None:
    prove(harness)
    remove(harness)
    assert list_clusters(harness) == []
    remove(harness)  # remove again, as if the first response had been lost


def test_removal_waits_while_the_cluster_is_being_created(harness: ActivityHarness) -> None:
    harness.aws.call_control("POST", "settings", database_seconds=600)
    prove(harness)
    harness.aws.call_control("DELETE", "calls")
    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.proofs.remove_proof_clusters, harness.plan.environment)
    assert (caught.value.type, caught.value.non_retryable) == ("rds.NotReady", False)
    assert "DeleteDBCluster" not in harness.aws.list_calls()


def test_lost_answer_is_found_again(harness: ActivityHarness) -> None:
    harness.aws.call_control("POST", "faults", service="rds", operation="CreateDBCluster", kind="lose_answer", times=1)

    found = prove(harness)

    assert (found.verdict, found.request_id) == ("verified", None)
    assert [cluster["DBClusterIdentifier"] for cluster in list_clusters(harness)] == NAMES[:1]


def test_leftover_of_an_earlier_proof_proves_nothing(harness: ActivityHarness) -> None:
    prove(harness, "proof-1")
    harness.aws.customer_client("kms").disable_key(KeyId=harness.plan.environment.rds_key_arn)

    with pytest.raises(ApplicationError) as caught:
        prove(harness, "proof-2")

    assert caught.value.type == "rds.KMSKeyNotAccessibleFault"


def test_fourth_key_in_a_region_is_not_proved_and_the_reason_says_so(harness: ActivityHarness) -> None:
    for number in range(3):
        prove(harness, f"proof-{number}", rds_key_arn=harness.aws.create_rds_key())

    found = prove(harness, "proof-4")

    assert found.verdict == "not verified"
    assert "This is the maximum" in str(found.reason)
    assert sorted(cluster["DBClusterIdentifier"] for cluster in list_clusters(harness)) == NAMES


def prove_another_key(harness: ActivityHarness, organisation: str | None) -> CheckedKey:
    return prove(harness, f"proof-{uuid.uuid4()}", organisation, rds_key_arn=harness.aws.create_rds_key())


def test_one_organisation_leaves_a_cluster_to_others(harness: ActivityHarness) -> None:
    assert [prove_another_key(harness, "acme").verdict for _ in range(2)] == ["verified"] * 2

    refused = prove_another_key(harness, "acme")
    others = prove_another_key(harness, "globex")

    assert (refused.verdict, others.verdict) == ("not verified", "verified")
    assert refused.reason == (
        "2 clusters for proving Aurora keys of acme already exist in eu-central-1. This is the maximum for one "
        "organisation. Check again in a few minutes."
    )


def test_reason_names_no_other_organisation(harness: ActivityHarness) -> None:
    for organisation in ("acme", "acme", "globex"):
        prove_another_key(harness, organisation)

    refused = prove_another_key(harness, "globex")

    assert refused.reason == (
        "3 clusters for proving Aurora keys already exist in eu-central-1. This is the maximum. Check again in a few "
        "minutes."
    )


def test_vendor_may_use_every_cluster(harness: ActivityHarness) -> None:
    assert [prove_another_key(harness, None).verdict for _ in range(3)] == ["verified"] * 3


def test_organisation_may_prove_again_once_a_cluster_is_gone(harness: ActivityHarness) -> None:
    prove(harness, organisation="acme")
    prove_another_key(harness, "acme")
    assert prove_another_key(harness, "acme").verdict == "not verified"

    remove(harness)

    assert prove_another_key(harness, "acme").verdict == "verified"


def test_concurrent_checks_of_one_organisation_leave_a_cluster_to_others(harness: ActivityHarness) -> None:
    """All four checks list the clusters before the first cluster exists, so each check finds three free names."""
    gate = threading.Barrier(4)
    find = AuroraProofActivities._find_clusters

    def find_at_the_same_time(self: AuroraProofActivities, rds: Any) -> dict[str, Any]:
        found = find(self, rds)
        if not found:
            gate.wait(10)
        return found

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(4) as pool:
        patch.setattr(AuroraProofActivities, "_find_clusters", find_at_the_same_time)
        found = list(pool.map(lambda _: prove_another_key(harness, "acme").verdict, range(4)))

    assert sorted(found) == ["not verified", "not verified", "verified", "verified"]
    assert len(list_clusters(harness)) == 2
    assert prove_another_key(harness, "globex").verdict == "verified"


def test_only_own_and_left_behind_clusters_are_removed(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove(harness, "another", rds_key_arn=harness.aws.create_rds_key())
    prove(harness, "own")

    remove(harness)
    assert [cluster["DBClusterIdentifier"] for cluster in list_clusters(harness)] == NAMES[:1]

    monkeypatch.setattr(aurora_proofs, "LEFTOVER_AGE", timedelta(0))
    remove(harness)
    assert list_clusters(harness) == []


def test_cluster_of_that_name_without_the_tag_is_left_alone(harness: ActivityHarness) -> None:
    rds = harness.aws.operator_client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier=NAMES[0], Engine="aurora-postgresql", MasterUsername="a", ManageMasterUserPassword=True
    )
    assert prove(harness).verdict == "verified"
    remove(harness)
    assert [cluster["DBClusterIdentifier"] for cluster in list_clusters(harness)] == NAMES[:1]


def test_no_error_ends_the_removal(harness: ActivityHarness) -> None:
    prove(harness)
    harness.aws.call_control(
        "POST", "faults", service="rds", operation="DescribeDBClusters", kind="refuse", times=1, code="AccessDenied"
    )
    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.proofs.remove_proof_clusters, harness.plan.environment)
    assert (caught.value.type, caught.value.non_retryable) == ("rds.AccessDenied", False)
    assert caught.value.next_retry_delay == timedelta(minutes=5)


def test_removal_of_a_cluster_that_lost_its_key(harness: ActivityHarness) -> None:
    prove(harness)
    harness.aws.customer_client("kms").disable_key(KeyId=harness.plan.environment.rds_key_arn)
    remove(harness)
    assert list_clusters(harness) == []


def test_proof_survives_every_kind_of_fault(harness: ActivityHarness) -> None:
    for call in ("rds:CreateDBCluster", "rds:DescribeDBClusters", "rds:DeleteDBCluster"):
        harness.inject_every_fault_kind(call)

    assert prove(harness).verdict == "verified"
    remove(harness)

    assert list_clusters(harness) == []
