"""The AWS Regions, and functions that check whether a Region exists (contract 133) and whether the platform uses it.

The list and the names are copied from botocore (`partitions.json` and `endpoints.json`), because importing botocore
here would make every command slow. `tests/unit/test_regions.py` fails if a botocore update adds or renames a Region.
"""

from collections.abc import Mapping, Sequence
from typing import Final

DEFAULT_HOME_REGION: Final = "eu-central-1"

REGION_NAMES: Final[Mapping[str, str]] = {
    "af-south-1": "Africa (Cape Town)",
    "ap-east-1": "Asia Pacific (Hong Kong)",
    "ap-east-2": "Asia Pacific (Taipei)",
    "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-northeast-2": "Asia Pacific (Seoul)",
    "ap-northeast-3": "Asia Pacific (Osaka)",
    "ap-south-1": "Asia Pacific (Mumbai)",
    "ap-south-2": "Asia Pacific (Hyderabad)",
    "ap-southeast-1": "Asia Pacific (Singapore)",
    "ap-southeast-2": "Asia Pacific (Sydney)",
    "ap-southeast-3": "Asia Pacific (Jakarta)",
    "ap-southeast-4": "Asia Pacific (Melbourne)",
    "ap-southeast-5": "Asia Pacific (Malaysia)",
    "ap-southeast-6": "Asia Pacific (New Zealand)",
    "ap-southeast-7": "Asia Pacific (Thailand)",
    "ca-central-1": "Canada (Central)",
    "ca-west-1": "Canada West (Calgary)",
    "cn-north-1": "China (Beijing)",
    "cn-northwest-1": "China (Ningxia)",
    "eu-central-1": "Europe (Frankfurt)",
    "eu-central-2": "Europe (Zurich)",
    "eu-isoe-west-1": "EU ISOE West",
    "eu-north-1": "Europe (Stockholm)",
    "eu-south-1": "Europe (Milan)",
    "eu-south-2": "Europe (Spain)",
    "eu-west-1": "Europe (Ireland)",
    "eu-west-2": "Europe (London)",
    "eu-west-3": "Europe (Paris)",
    "eusc-de-east-1": "AWS European Sovereign Cloud (Germany)",
    "il-central-1": "Israel (Tel Aviv)",
    "me-central-1": "Middle East (UAE)",
    "me-south-1": "Middle East (Bahrain)",
    "me-west-1": "Middle East (Saudi Arabia)",
    "mx-central-1": "Mexico (Central)",
    "sa-east-1": "South America (Sao Paulo)",
    "sa-west-1": "South America (Chile)",
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-gov-east-1": "AWS GovCloud (US-East)",
    "us-gov-west-1": "AWS GovCloud (US-West)",
    "us-iso-east-1": "US ISO East",
    "us-iso-west-1": "US ISO WEST",
    "us-isob-east-1": "US ISOB East (Ohio)",
    "us-isob-west-1": "US ISOB West",
    "us-isof-east-1": "US ISOF EAST",
    "us-isof-south-1": "US ISOF SOUTH",
    "us-west-1": "US West (N. California)",
    "us-west-2": "US West (Oregon)",
}
"""The name that the AWS console shows for each Region."""

REGIONS: Final = tuple(REGION_NAMES)

_SIMILAR: Final = 0.6
"""The minimum similarity at which a name counts as a misspelling of a Region. The value is `difflib`'s default."""


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
    """Check that the platform uses a Region (`BYOK_REGIONS`).

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


def describe_region(region: str) -> str:
    """Return a Region's name followed by its code, for example `Europe (Frankfurt) eu-central-1`."""
    return f"{REGION_NAMES[region]} {region}" if region in REGION_NAMES else region
