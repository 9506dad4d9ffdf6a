"""An environment's contents: the database settings, the buckets, and the initial objects that services need to start.

The vendor's platform engineers write a blueprint as a YAML file, which `byok.blueprints` loads.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from byok.domain.arns import parse_key_arn
from byok.domain.naming import BUCKET_PURPOSE_PATTERN


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class MasterAuthentication(StrEnum):
    """How the database's master user authenticates. Neither method uses the customer's key (D15)."""

    IAM = "iam"
    MANAGED_SECRET = "managed-secret"  # noqa: S105 - the name of a way to sign in, not a secret


def _full_key_arn(value: str) -> str:
    return str(parse_key_arn(value))


def _not_reserved(value: str) -> str:
    # PostgreSQL reserves names that start with `pg_`, and every cluster already contains the two template databases.
    # RDS reserves `admin` and names that start with `rds`.
    if value in ("admin", "template0", "template1") or value.startswith(("pg_", "rds")):
        raise ValueError(f"{value} is a reserved name")
    return value


class DatabaseBlueprint(_Part):
    """The Aurora PostgreSQL cluster and its Serverless v2 writer.

    Attributes:
        engine_version: Aurora PostgreSQL version; None for AWS's default version.
        database_name: Name of the first database.
        master_username: Name of the master user. Names that PostgreSQL or RDS reserves are rejected.
        authentication: IAM database authentication, or a secret that RDS manages and encrypts with a platform key.
        master_secret_key_arn: The platform's key that encrypts the secret; None for the AWS managed key
            `aws/secretsmanager`.
        min_capacity: Minimum capacity, in Aurora capacity units of 2 GiB.
        max_capacity: Maximum capacity, in Aurora capacity units.
        backup_retention_days: How many days RDS keeps automated backups.
        deletion_protection: Whether RDS refuses to delete the cluster until deletion protection is turned off.
        subnet_group: DB subnet group; None for the default VPC's subnet group.
        security_group_ids: VPC security groups; empty for the VPC's default security group.
    """

    engine_version: str | None = Field(default=None, pattern=r"^[0-9]{2}\.[0-9]{1,2}$")
    database_name: Annotated[str, AfterValidator(_not_reserved)] = Field(
        default="app", pattern=r"^[a-z][a-z0-9_]{0,62}$"
    )
    master_username: Annotated[str, AfterValidator(_not_reserved)] = Field(
        default="byok_admin", pattern=r"^[a-z][a-z0-9_]{0,15}$"
    )
    authentication: MasterAuthentication = MasterAuthentication.IAM
    master_secret_key_arn: Annotated[str, AfterValidator(_full_key_arn)] | None = None
    min_capacity: float = Field(default=0.5, ge=0.5, le=256, multiple_of=0.5)
    max_capacity: float = Field(default=4, ge=1, le=256, multiple_of=0.5)
    backup_retention_days: int = Field(default=7, ge=7, le=35)
    deletion_protection: bool = True
    subnet_group: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9 _.-]{0,254}$")
    security_group_ids: tuple[Annotated[str, Field(pattern=r"^sg-[0-9a-f]{8,17}$")], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_capacity > self.max_capacity:
            raise ValueError("min_capacity is larger than max_capacity")
        if self.master_secret_key_arn and self.authentication is not MasterAuthentication.MANAGED_SECRET:
            raise ValueError("master_secret_key_arn requires authentication: managed-secret")
        return self


class InitialObject(_Part):
    """An object that a bucket must contain before a service can start.

    The object's content is visible in workflow histories, so it must not contain secrets.

    Attributes:
        key: The object's key.
        content: The object's content, as UTF-8 text.
        content_type: The media type of the content.
    """

    key: str = Field(min_length=1, max_length=512, pattern=r"^[A-Za-z0-9][A-Za-z0-9!_.*'()/-]*$")
    content: str = Field(max_length=16_384)
    content_type: str = Field(default="application/json", pattern=r"^[a-z]+/[a-z0-9.+-]+$")


class BucketBlueprint(_Part):
    """One bucket.

    Attributes:
        purpose: The purpose of the bucket, in one word that becomes part of the bucket's name.
        objects: The initial objects, which byok writes before the environment is ready (contract 95).
    """

    purpose: str = Field(pattern=BUCKET_PURPOSE_PATTERN)
    objects: tuple[InitialObject, ...] = ()

    @model_validator(mode="after")
    def _unique_keys(self) -> Self:
        keys = [item.key for item in self.objects]
        if len(keys) != len(set(keys)):
            raise ValueError(f"bucket {self.purpose} has two objects with the same key")
        return self


class Blueprint(_Part):
    """The complete contents of an environment."""

    version: int = Field(default=1, ge=1, le=1)
    database: DatabaseBlueprint = DatabaseBlueprint()
    buckets: tuple[BucketBlueprint, ...] = Field(min_length=1, max_length=20)

    @model_validator(mode="after")
    def _provable(self) -> Self:
        purposes = [bucket.purpose for bucket in self.buckets]
        if len(purposes) != len(set(purposes)):
            raise ValueError("two buckets have the same purpose")
        # S3 does not use the key until an object is written. Without an object, nothing would prove that the key works
        # (contract 96).
        if not any(bucket.objects for bucket in self.buckets):
            raise ValueError("no bucket has an initial object")
        return self
