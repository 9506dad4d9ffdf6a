"""The list of Regions matches botocore's list; byok refuses an unknown name and suggests the closest valid name."""

from typing import Any

import botocore.session
import pytest
from pydantic import ValidationError

from byok.domain.arns import partition_of_region
from byok.domain.models import CheckKeysRequest
from byok.domain.regions import REGION_NAMES, REGIONS, UnknownRegionError, require_region


def test_regions_are_those_of_botocore() -> None:
    session = botocore.session.get_session()
    partitions: list[dict[str, Any]] = session.get_data("partitions")["partitions"]
    known = {name: one["id"] for one in partitions for name in one["regions"] if not name.endswith("-global")}
    known |= {name: one["partition"] for one in session.get_data("endpoints")["partitions"] for name in one["regions"]}

    names = {name: facts["description"] for one in partitions for name, facts in one["regions"].items()}
    for one in session.get_data("endpoints")["partitions"]:
        names |= {name: facts["description"] for name, facts in one["regions"].items()}

    assert list(REGIONS) == sorted(known)
    assert {region: names[region] for region in REGIONS} == REGION_NAMES
    assert {region: partition_of_region(region) for region in REGIONS} == known


def test_every_region_is_accepted() -> None:
    assert [require_region(region) for region in REGIONS] == list(REGIONS)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("eu-central-9", "eu-central-1"),
        ("EU-Central-1", "eu-central-1"),
        ("eu-central-1a", "eu-central-1"),  # an Availability Zone
        ("us-east1", "us-east-1"),
        ("eu_west_3", "eu-west-3"),
        ("us-gov-east-3", "us-gov-east-1"),
        (" eu-west-1", "eu-west-1"),
    ],
)
def test_misspelt_region_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    with pytest.raises(UnknownRegionError, match=f"the nearest name is {nearest}$"):  # contract 133
        require_region(name)


@pytest.mark.parametrize("name", ["", "Frankfurt", "aws-global", "x" * 10_000])
def test_text_unlike_any_region_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(UnknownRegionError, match=r"looks like eu-central-1$"):
        require_region(name)


def test_request_names_the_nearest_region() -> None:
    with pytest.raises(ValidationError, match="not an AWS Region; the nearest name is eu-central-1"):
        CheckKeysRequest(region="eu-central-9", s3_key_arn="a", rds_key_arn="b")
