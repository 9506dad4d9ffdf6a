"""All claims are stored in the home Region, and byok releases only claims on keys that the environment does not use.

To find out which keys an environment uses, byok asks AWS (contract 123, 138).
"""

import json
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.arns import KeyPurpose, parse_key_arn
from byok.domain.models import AccountRequest, KeyClaimPage, ListClaimsRequest
from localaws.state import CUSTOMER_ACCOUNT
from tests.activities.conftest import OTHER_REGION, PLATFORM, ActivityHarness, parse_stop_problem
from tests.localaws.server import AwsHarness


def list_claimed_keys(harness: ActivityHarness) -> set[str]:
    """Return the ids of all claimed keys. All claims are in the home Region's probe bucket."""
    return list_names(harness, "claims/")


def list_index(harness: ActivityHarness) -> set[str]:
    """Return all entries in the index of claims: `<environment id>/<account>/<key id>`."""
    return list_names(harness, "claims-by-environment/")


def list_names(harness: ActivityHarness, prefix: str) -> set[str]:
    s3 = harness.aws.operator_client("s3")
    found = s3.list_objects_v2(Bucket=PLATFORM.claims_bucket, Prefix=prefix).get("Contents", [])
    return {item["Key"].removeprefix(prefix) for item in found}


def claimed(*key_arns: str) -> set[str]:
    return {parse_key_arn(arn).global_id for arn in key_arns}


def own_keys(harness: ActivityHarness) -> set[str]:
    return claimed(harness.plan.environment.s3_key_arn, harness.plan.environment.rds_key_arn)


def keys_in(aws: AwsHarness, region: str) -> dict[str, str]:
    return {"region": region, "s3_key_arn": aws.create_s3_key(region), "rds_key_arn": aws.create_rds_key(region)}


def claim_keys(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)


def claim_keys_only(harness: ActivityHarness) -> None:
    """Claim both keys for an environment, and then make RDS refuse to create the cluster."""
    harness.aws.call_control("POST", "faults", service="rds", operation="CreateDBCluster", kind="refuse", times=1)
    with pytest.raises(ApplicationError):
        claim_keys(harness)


def give_back(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.claims.release_unused_claims, harness.plan.environment)


def release_all(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.claims.release_all_claims, harness.plan.environment)


def own_index(harness: ActivityHarness) -> set[str]:
    return {f"{harness.plan.environment.environment_id}/{key}" for key in own_keys(harness)}


def inject_claim_fault(harness: ActivityHarness, operation: str, kind: str, after_calls: int) -> None:
    """Make one call on the claims bucket fail, after the first `after_calls` calls."""
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)  # creates the bucket
    where = {"service": "s3", "operation": operation, "about": PLATFORM.claims_bucket}
    harness.aws.call_control("POST", "faults", **where, kind=kind, after_calls=after_calls)


def list_claims(harness: ActivityHarness, **request: Any) -> KeyClaimPage:
    page = harness.run_with_retries(harness.claims.list_key_claims, ListClaimsRequest(**request))
    assert isinstance(page, KeyClaimPage)
    return page


def test_environment_in_another_region_claims_its_keys_in_the_home_region(harness: ActivityHarness) -> None:
    harness.plan = harness.build_plan(**keys_in(harness.aws, OTHER_REGION))

    claim_keys(harness)  # the home Region has no probe bucket yet

    assert list_claimed_keys(harness) == own_keys(harness)  # contract 123
    block = harness.aws.operator_client("s3").get_public_access_block(Bucket=PLATFORM.claims_bucket)
    assert set(block["PublicAccessBlockConfiguration"].values()) == {True}


@pytest.mark.parametrize("which", KeyPurpose)
def test_replica_of_a_claimed_multi_region_key_is_refused_in_another_region(
    harness: ActivityHarness, which: KeyPurpose
) -> None:
    field = f"{which}_key_arn"
    make = harness.aws.create_s3_key if which is KeyPurpose.S3 else harness.aws.create_rds_key
    primary = make(MultiRegion=True)
    harness.plan = harness.build_plan(**{field: primary})
    claim_keys(harness)
    replica = harness.aws.customer_client("kms").replicate_key(KeyId=primary, ReplicaRegion=OTHER_REGION)
    arn = replica["ReplicaKeyMetadata"]["Arn"]
    harness.plan = harness.build_plan(**keys_in(harness.aws, OTHER_REGION) | {field: arn})

    conflicts = harness.run_with_retries(harness.keys.probe_key_claims, harness.plan.environment).problems
    with pytest.raises(ApplicationError) as caught:
        claim_keys(harness)

    assert parse_stop_problem(caught.value).code == "byok.KeyInUse"  # contract 123, 138
    assert [(one.code, one.key_arn) for one in conflicts] == [("byok.KeyInUse", arn)]


def test_refused_attempt_gives_back_the_key_that_it_claimed_first(harness: ActivityHarness) -> None:
    claim_keys(harness)
    holder = harness.plan.environment
    harness.plan = harness.build_plan(rds_key_arn=holder.rds_key_arn)
    with pytest.raises(ApplicationError):
        claim_keys(harness)
    assert len(list_claimed_keys(harness)) == 3, "the S3 key was claimed before the Aurora key was refused"

    give_back(harness)

    assert list_claimed_keys(harness) == claimed(holder.s3_key_arn, holder.rds_key_arn)  # contract 138


@pytest.mark.parametrize("operation", ["DescribeDBClusters", "CreateDBCluster"])
def test_attempt_that_stops_before_it_creates_anything_leaves_no_claim(
    harness: ActivityHarness, operation: str
) -> None:
    harness.aws.call_control("POST", "faults", service="rds", operation=operation, kind="refuse", times=1)
    with pytest.raises(ApplicationError):
        claim_keys(harness)
    assert list_claimed_keys(harness) == own_keys(harness)

    give_back(harness)

    assert list_claimed_keys(harness) == set()  # contract 138


def test_key_of_the_cluster_stays_claimed_and_the_unused_one_is_given_back(harness: ActivityHarness) -> None:
    claim_keys(harness)

    give_back(harness)

    assert list_claimed_keys(harness) == claimed(harness.plan.environment.rds_key_arn)


def test_keys_of_a_complete_environment_stay_claimed(harness: ActivityHarness) -> None:
    harness.provision_environment()

    give_back(harness)
    release_all(harness)

    assert list_claimed_keys(harness) == own_keys(harness)
    assert list_index(harness) == own_index(harness)


def test_replay_claims_the_s3_key_again(harness: ActivityHarness) -> None:
    claim_keys(harness)
    give_back(harness)
    harness.run_id = "a-replay"

    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())

    assert list_claimed_keys(harness) == own_keys(harness)  # contract 123


def test_replay_is_refused_if_another_environment_has_claimed_the_s3_key_since(harness: ActivityHarness) -> None:
    claim_keys(harness)
    give_back(harness)
    stopped = harness.plan
    harness.plan = harness.build_plan(s3_key_arn=stopped.environment.s3_key_arn)
    claim_keys(harness)
    harness.plan, harness.run_id = stopped, "a-replay"

    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())

    assert parse_stop_problem(caught.value).code == "byok.KeyInUse"  # contract 123
    assert harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task()).buckets == ()


def test_claims_of_other_environments_are_never_released(harness: ActivityHarness) -> None:
    harness.provision_environment()
    theirs = own_keys(harness)
    keys = (harness.plan.environment.s3_key_arn, harness.plan.environment.rds_key_arn)
    harness.plan = harness.build_plan(s3_key_arn=keys[0], rds_key_arn=keys[1])

    give_back(harness)
    release_all(harness)

    assert list_claimed_keys(harness) == theirs  # contract 138


def test_deletion_releases_claims_on_keys_that_nobody_names(harness: ActivityHarness) -> None:
    forgotten = harness.aws.create_s3_key()
    harness.plan = harness.build_plan(s3_key_arn=forgotten)
    claim_keys_only(harness)

    environment = harness.plan.environment.model_copy(update={"s3_key_arn": "", "rds_key_arn": ""})
    harness.run_with_retries(harness.claims.release_all_claims, environment)

    assert list_claimed_keys(harness) == list_index(harness) == set()  # contract 138


@pytest.mark.parametrize("kind", ["error500", "lose_answer"])
@pytest.mark.parametrize("writes", range(4))
def test_claim_always_has_an_index_entry(harness: ActivityHarness, kind: str, writes: int) -> None:
    """An attempt is killed before or after one of its four writes: an index entry and a claim for each key."""
    inject_claim_fault(harness, "PutObject", kind, writes)
    with pytest.raises(ApplicationError):
        harness.run_once(harness.database.ensure_cluster, harness.database_task)

    environment_id = harness.plan.environment.environment_id
    assert {f"{environment_id}/{key}" for key in list_claimed_keys(harness)} <= list_index(harness)

    release_all(harness)
    assert list_claimed_keys(harness) == list_index(harness) == set()  # contract 138


@pytest.mark.parametrize("writes", range(4))
def test_attempt_after_a_kill_completes_the_claims(harness: ActivityHarness, writes: int) -> None:
    inject_claim_fault(harness, "PutObject", "error500", writes)

    claim_keys(harness)

    assert list_claimed_keys(harness) == own_keys(harness)  # contract 123
    assert list_index(harness) == own_index(harness)


@pytest.mark.parametrize("kind", ["error500", "lose_answer"])
@pytest.mark.parametrize("deletions", range(4))
def test_release_continues_after_a_kill(harness: ActivityHarness, kind: str, deletions: int) -> None:
    claim_keys_only(harness)
    inject_claim_fault(harness, "DeleteObject", kind, deletions)
    with pytest.raises(ApplicationError):
        harness.run_once(harness.claims.release_all_claims, harness.plan.environment)
    environment_id = harness.plan.environment.environment_id
    assert {f"{environment_id}/{key}" for key in list_claimed_keys(harness)} <= list_index(harness)

    release_all(harness)

    assert list_claimed_keys(harness) == list_index(harness) == set()  # contract 138


def test_refused_attempt_leaves_no_index_entry(harness: ActivityHarness) -> None:
    claim_keys(harness)
    theirs = own_index(harness)
    holder = harness.plan.environment
    harness.plan = harness.build_plan(s3_key_arn=holder.s3_key_arn, rds_key_arn=holder.rds_key_arn)
    with pytest.raises(ApplicationError):
        claim_keys(harness)
    assert list_index(harness) == theirs | own_index(harness)

    release_all(harness)

    assert list_index(harness) == theirs


def test_number_of_calls_that_release_claims_does_not_depend_on_other_claims(harness: ActivityHarness) -> None:
    def count_calls() -> list[str]:
        harness.plan = harness.build_plan()
        claim_keys_only(harness)
        harness.aws.call_control("DELETE", "calls")
        release_all(harness)
        return harness.aws.list_calls("s3")

    alone = count_calls()
    s3 = harness.aws.operator_client("s3")
    for number in range(200):
        key_id, environment_id = f"444455556666/{number:03}", f"other-{number}"
        claim = {"environment_id": environment_id, "organisation": None, "key_arn": f"arn:aws:kms:::{number}"}
        s3.put_object(Bucket=PLATFORM.claims_bucket, Key=f"claims-by-environment/{environment_id}/{key_id}", Body=b"")
        s3.put_object(Bucket=PLATFORM.claims_bucket, Key=f"claims/{key_id}", Body=json.dumps(claim).encode())

    assert count_calls() == alone
    assert alone == ["ListBuckets", "ListObjectsV2", *["GetObject", "DeleteObject", "DeleteObject"] * 2]
    assert len(list_claimed_keys(harness)) == len(list_index(harness)) == 200


@pytest.mark.parametrize("owner", ["globex", None])
def test_claim_of_another_owner_of_the_same_environment_id_stays(harness: ActivityHarness, owner: str | None) -> None:
    def act_as(organisation: str | None) -> None:
        environment = harness.plan.environment.model_copy(update={"organisation": organisation})
        harness.plan = harness.plan.model_copy(update={"environment": environment})

    if owner is not None:
        account = AccountRequest(organisation=owner, account=CUSTOMER_ACCOUNT)
        harness.run_with_retries(harness.accounts.register_account, account)
    act_as(owner)
    claim_keys_only(harness)
    before = (list_claimed_keys(harness), list_index(harness))

    act_as("acme")
    release_all(harness)
    give_back(harness)
    assert (list_claimed_keys(harness), list_index(harness)) == before  # contract 138, 146

    act_as(owner)
    release_all(harness)
    assert list_claimed_keys(harness) == list_index(harness) == set()  # contract 138


def test_claims_are_listed_with_what_aws_says_of_their_use(harness: ActivityHarness) -> None:
    harness.provision_environment()
    ready = harness.plan.environment
    harness.plan = harness.build_plan(**keys_in(harness.aws, OTHER_REGION))
    claim_keys(harness)
    begun = harness.plan.environment

    found = {one.key_arn: one for one in list_claims(harness).claims}

    assert {arn: (one.environment_id, one.exists, one.used) for arn, one in found.items()} == {
        ready.s3_key_arn: (ready.environment_id, True, True),
        ready.rds_key_arn: (ready.environment_id, True, True),
        begun.s3_key_arn: (begun.environment_id, True, False),
        begun.rds_key_arn: (begun.environment_id, True, True),
    }
    assert {one.account for one in found.values()} == {"444455556666"}


def test_claims_are_listed_in_pages_and_by_account(harness: ActivityHarness) -> None:
    harness.provision_environment()

    first = list_claims(harness, size=1)
    second = list_claims(harness, size=1, after=first.after)

    assert {one.global_key_id for page in (first, second) for one in page.claims} == own_keys(harness)
    assert (first.after is None, second.after) == (False, None)
    assert len(list_claims(harness, account="444455556666").claims) == 2
    assert list_claims(harness, account="999999999999").claims == ()


def test_no_claims_are_listed_before_the_first_environment(harness: ActivityHarness) -> None:
    assert list_claims(harness) == KeyClaimPage()
