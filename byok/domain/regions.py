"""The AWS Regions, and the checks that a name is an AWS Region (contract 133) and that the platform uses the Region.

The list is copied from botocore (`partitions.json` and `endpoints.json`), because importing botocore here would make
every command slow. `tests/unit/test_regions.py` fails if a botocore update adds a Region that is missing here.
"""

from collections.abc import Sequence
from typing import Final

DEFAULT_HOME_REGION: Final = "eu-central-1"

REGIONS: Final = (
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1"),
    *("ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5"),
    *("ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1"),
    *("eu-central-1", "eu-central-2", "eu-isoe-west-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1"),
    *("eu-west-2", "eu-west-3", "eusc-de-east-1", "il-central-1", "me-central-1", "me-south-1", "me-west-1"),
    *("mx-central-1", "sa-east-1", "sa-west-1", "us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1"),
    *("us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1", "us-isof-east-1", "us-isof-south-1"),
    *("us-west-1", "us-west-2"),
)

_SIMILAR: Final = 0.6
"""The minimum similarity at which a name counts as a misspelling of a Region, the same as `difflib`'s default."""


class RegionNotInUseError(ValueError):
    """Raised for an AWS Region that the platform does not use; the message lists the Regions in use."""


class UnknownRegionError(ValueError):
    """Raised for a name that is not an AWS Region.

    The message suggests the nearest name, if any, and does not repeat the input.
    """


def require_region(name: str) -> str:
    """Return the name if it is an AWS Region.

    Raises:
        UnknownRegionError: The name is not an AWS Region.
    """
    if name in REGIONS:
        return name
    near = find_nearest_region(name)
    hint = f"the nearest name is {near}" if near else "a Region's name looks like eu-central-1"
    raise UnknownRegionError(f"not an AWS Region; {hint}")


def require_region_in_use(name: str, regions: Sequence[str]) -> None:
    """Require that the platform uses a Region (`BYOK_REGIONS`).

    Raises:
        RegionNotInUseError: The platform does not use the Region.
    """
    if name not in regions:
        raise RegionNotInUseError(
            f"The platform does not use the Region {name}. The Regions in use are {', '.join(regions)} (BYOK_REGIONS)."
        )


def find_nearest_region(name: str) -> str | None:
    """Return the Region with the most similar name, or None if no name is similar enough.

    If several names are equally similar, the result is the first in alphabetical order.
    """
    from difflib import SequenceMatcher  # imported here because only an invalid name needs it

    given = name.strip().lower()[:64]
    ratios = {region: SequenceMatcher(None, region, given).ratio() for region in REGIONS}
    nearest = max(REGIONS, key=ratios.__getitem__)
    return nearest if ratios[nearest] >= _SIMILAR else None
