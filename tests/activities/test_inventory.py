"""byok looks for an environment's resources in all Regions in use before it deletes anything (contract 137)."""

from byok.domain.models import ForeignObjectsTask
from tests.activities.conftest import OTHER_REGION, ActivityHarness
from tests.localaws.server import REGION


def find_regions(harness: ActivityHarness) -> set[str]:
    found = harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task())
    return {one.region for one in found.all_resources}


def test_resources_are_found_in_every_region_in_use(harness: ActivityHarness) -> None:
    keys = {
        "s3_key_arn": harness.aws.create_s3_key(OTHER_REGION),
        "rds_key_arn": harness.aws.create_rds_key(OTHER_REGION),
    }
    harness.plan = far = harness.build_plan(region=OTHER_REGION, **keys)
    harness.provision_environment()
    harness.plan = harness.build_plan(environment_id=far.environment.environment_id)

    found = harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task())

    assert {one.region for one in found.all_resources} == {OTHER_REGION}  # contract 137
    assert {one.name for one in found.buckets} == {bucket.name for bucket in far.buckets}
    assert (found.s3_key_arns, found.rds_key_arns) == ((keys["s3_key_arn"],), (keys["rds_key_arn"],))


def test_bucket_in_a_region_that_is_no_longer_in_use_is_found(harness: ActivityHarness) -> None:
    tags = [{"Key": key, "Value": value} for key, value in harness.plan.environment.tags.items()]
    configuration = {"LocationConstraint": "eu-west-1", "Tags": tags}
    s3 = harness.aws.operator_client("s3", "eu-west-1")
    s3.create_bucket(Bucket=harness.plan.buckets[0].name, CreateBucketConfiguration=configuration)

    assert find_regions(harness) == {"eu-west-1"}  # contract 137


def test_buckets_of_an_environment_with_a_longer_id_are_not_found(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    longer = harness.plan.environment.environment_id
    harness.plan = harness.build_plan(environment_id=longer.partition("-")[0])

    assert find_regions(harness) == set()


def test_foreign_objects_are_found_in_all_buckets_and_nothing_changes(harness: ActivityHarness) -> None:
    harness.provision_environment()
    names = tuple(bucket.name for bucket in harness.plan.buckets)
    for name in names:
        harness.aws.platform_client("s3").put_object(Bucket=name, Key="theirs", Body=b"x")
    harness.aws.call_control("DELETE", "calls")

    found = harness.run_with_retries(
        harness.storage.find_foreign_objects, ForeignObjectsTask(environment=harness.plan.environment, buckets=names)
    )

    assert {one.bucket: one.keys for one in found.buckets} == dict.fromkeys(names, ("theirs",))  # contract 137
    assert set(harness.aws.list_calls()) == {"ListObjectVersions", "GetObjectTagging"}


def test_own_objects_are_not_foreign(harness: ActivityHarness) -> None:
    harness.provision_environment()
    names = tuple(bucket.name for bucket in harness.plan.buckets)
    task = ForeignObjectsTask(environment=harness.plan.environment, buckets=names)

    assert harness.run_with_retries(harness.storage.find_foreign_objects, task).buckets == ()
    assert find_regions(harness) == {REGION}
