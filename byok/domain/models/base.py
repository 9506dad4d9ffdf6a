"""Base classes for the models that byok sends through Temporal, and the type for a Region's name."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from byok.domain.arns import ROLE_ARN_PATTERN
from byok.domain.regions import REGIONS, UnknownRegionError, require_region
from byok.domain.scopes import ORGANISATION_PATTERN


class RequestModel(BaseModel):
    """Base class for models of user input, which reject unknown fields and keep values out of error messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RecordModel(BaseModel):
    """Base class for models that only byok writes and reads."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


def _validate_region(name: str) -> str:
    try:
        return require_region(name)
    except UnknownRegionError as error:
        raise PydanticCustomError("unknown_region", "{reason}", {"reason": str(error)}) from error


RegionName = Annotated[str, AfterValidator(_validate_region), WithJsonSchema({"type": "string", "enum": list(REGIONS)})]
"""The name of an AWS Region (contract 133)."""

OrganisationName = Annotated[str, StringConstraints(pattern=ORGANISATION_PATTERN)]
"""The name of an organisation: up to 16 lower-case letters and digits."""

AccountId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
"""The id of an AWS account: 12 digits."""

RoleArn = Annotated[str, StringConstraints(pattern=ROLE_ARN_PATTERN)]
"""The ARN of an IAM role."""
