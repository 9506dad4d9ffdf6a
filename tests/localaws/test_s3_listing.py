"""Pages of ListBuckets."""

import pytest

from tests.localaws.server import REGION, AwsHarness
from tests.localaws.test_s3_recorded import catch_error_with_status

NAMES = [f"page-{number}" for number in range(5)]


@pytest.mark.parametrize("size", [1, 2, 4, 5, 6])
def test_pages_have_every_bucket_once(aws: AwsHarness, size: int) -> None:
    s3 = aws.operator_client("s3")
    for name in [*NAMES, "other"]:
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    pages = s3.get_paginator("list_buckets").paginate(Prefix="page-", PaginationConfig={"PageSize": size})
    found = [[bucket["Name"] for bucket in page["Buckets"]] for page in pages]

    assert found == [NAMES[begin : begin + size] for begin in range(0, len(NAMES), size)]


@pytest.mark.parametrize("page", [{"MaxBuckets": 10_001}, {"ContinuationToken": "invented"}], ids=["size", "token"])
def test_invalid_page_is_refused(aws: AwsHarness, page: dict[str, object]) -> None:
    assert catch_error_with_status(aws.operator_client("s3").list_buckets, **page)[:2] == ("InvalidArgument", 400)


def test_regions_of_buckets_are_listed_if_the_request_has_a_parameter(aws: AwsHarness) -> None:
    far = {"LocationConstraint": "eu-west-1"}
    aws.operator_client("s3", "eu-west-1").create_bucket(Bucket="far", CreateBucketConfiguration=far)
    aws.operator_client("s3", "us-east-1").create_bucket(Bucket="first")
    s3 = aws.operator_client("s3")

    found = {one["Name"]: one["BucketRegion"] for one in s3.list_buckets(MaxBuckets=100)["Buckets"]}

    assert found == {"far": "eu-west-1", "first": "us-east-1"}
    assert not any("BucketRegion" in one for one in s3.list_buckets()["Buckets"])
    assert [one["BucketRegion"] for one in s3.list_buckets(Prefix="fa")["Buckets"]] == ["eu-west-1"]
