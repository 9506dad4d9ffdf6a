"""byok uses only buckets in the platform's account (contract 154).

Calls on a bucket pass `ExpectedBucketOwner`. If another account owns the bucket, the problem contains the bucket's
name.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.problems.aws_errors import OPERATIONS_BY_SERVICE
from localaws.state import PLATFORM_ACCOUNT
from tests.activities.conftest import ActivityHarness, parse_stop_problem
from tests.localaws.server import REGION
from tests.remedy_text import text_of


def create_foreign_bucket(harness: ActivityHarness, name: str, *, open_to_all: bool) -> None:
    """Create a bucket in the customer's account; `open_to_all` gives every account full access to the bucket."""
    s3 = harness.aws.customer_client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if open_to_all:
        resources = [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
        allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": resources}
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
        harness.aws.platform_client("s3").head_bucket(Bucket=name)  # check that the platform has access


def test_every_call_on_a_bucket_names_its_owner(harness: ActivityHarness) -> None:
    harness.provision_environment()
    harness.run_with_retries(harness.evidence.collect_evidence, harness.plan)
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())  # compares every setting
    harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task())
    for index in range(len(harness.plan.buckets)):
        harness.run_with_retries(harness.storage.remove_bucket, harness.bucket_removal(index))
    harness.run_with_retries(harness.claims.release_all_claims, harness.plan.environment)

    calls = [call for call in harness.aws.call_control("GET", "calls")["calls"] if call["service"] == "s3"]
    without_owner = {call["operation"] for call in calls if "ExpectedBucketOwner" not in call["params"]}

    assert {call["operation"] for call in calls} == set(OPERATIONS_BY_SERVICE["s3"])
    # contract 154
    assert without_owner == {"CreateBucket", "ListBuckets"}  # these operations have no ExpectedBucketOwner parameter
    assert {call["params"].get("ExpectedBucketOwner") for call in calls} == {PLATFORM_ACCOUNT, None}


def probe(harness: ActivityHarness) -> tuple[str, Callable[..., Any], object]:
    return harness.plan.environment.probe_bucket, harness.keys.probe_s3_key, harness.plan.environment


def ensure(harness: ActivityHarness) -> tuple[str, Callable[..., Any], object]:
    return harness.plan.buckets[0].name, harness.storage.ensure_bucket, harness.bucket_task()


def remove(harness: ActivityHarness) -> tuple[str, Callable[..., Any], object]:
    return harness.plan.buckets[0].name, harness.storage.remove_bucket, harness.bucket_removal()


@pytest.mark.parametrize("open_to_all", [True, False], ids=["open", "closed"])
@pytest.mark.parametrize("use", [probe, ensure, remove])
def test_bucket_of_another_account_is_refused_by_name(
    harness: ActivityHarness,
    use: Callable[[ActivityHarness], tuple[str, Callable[..., Any], object]],
    open_to_all: bool,
) -> None:
    name, activity, task = use(harness)
    create_foreign_bucket(harness, name, open_to_all=open_to_all)

    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(activity, task)

    problem = parse_stop_problem(caught.value)
    assert (problem.code, problem.key) == ("byok.BucketOfAnotherAccount", None)  # contract 154
    assert problem.message == f"The bucket {name} belongs to another AWS account, not to {PLATFORM_ACCOUNT}."
    assert "BYOK_VENDOR__RESOURCE_PREFIX" in text_of(problem.remediation)
    assert harness.aws.customer_client("s3").list_objects_v2(Bucket=name)["KeyCount"] == 0


def test_missing_permission_on_an_own_bucket_keeps_the_error_of_s3(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    harness.aws.call_control("POST", "faults", service="s3", operation="PutObject", kind="refuse")

    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)

    problem = parse_stop_problem(caught.value)
    assert (problem.code, problem.operation) == ("s3.AccessDenied", "PutObject")
