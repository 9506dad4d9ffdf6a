"""The vendor's own names: everything a customer sees that another vendor would spell differently.

The defaults are the reference vendor's and must come out exactly so (contract, section 3 to 5 and 8).
Another vendor makes its own profile, and nothing else in the code changes.
"""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _free_for_buckets(prefix: str) -> str:
    # S3 keeps names that begin with `sthree-` and `amzn-s3-demo-` to itself (S3 user guide, "Bucket naming rules").
    if prefix in ("sthree", "amzn"):
        raise ValueError(f"S3 reserves bucket names that begin with {prefix}-")
    return prefix


def _free_for_tags(prefix: str) -> str:
    if prefix == "aws":
        raise ValueError("AWS reserves tags that begin with aws:")
    return prefix


class VendorProfile(BaseModel):
    """The names a vendor puts on policies, tags and resources.

    Attributes:
        name: The vendor's name as it stands inside identifiers, in PascalCase.
        resource_prefix: First part of every cluster and bucket name.
        tag_prefix: First part of every tag this product sets on what it creates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="Ataccama", pattern=r"^[A-Z][A-Za-z0-9]{0,31}$")
    resource_prefix: Annotated[str, AfterValidator(_free_for_buckets)] = Field(
        default="byok", pattern=r"^[a-z][a-z0-9]{1,7}$"
    )
    tag_prefix: Annotated[str, AfterValidator(_free_for_tags)] = Field(
        default="byok", pattern=r"^[a-z][a-z0-9-]{0,30}$"
    )

    @property
    def s3_access_sid(self) -> str:
        """Sid of the S3 key's one statement (contract 61)."""
        return f"Allow{self.name}PlatformS3Access"

    @property
    def rds_describe_key_sid(self) -> str:
        """Sid of the Aurora key's first statement (contract 67)."""
        return f"Allow{self.name}PlatformRDSDescribeKey"

    @property
    def rds_grants_sid(self) -> str:
        """Sid of the Aurora key's second statement (contract 70)."""
        return f"Allow{self.name}PlatformRDSGrants"
