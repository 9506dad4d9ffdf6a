"""How much of the platform one organisation may use, and the message and advice for an exceeded quota."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from byok.domain.scopes import ORGANISATION_PATTERN

QUOTA_EXCEEDED_CODE: Final = "byok.QuotaExceeded"
"""The problem code for a request that would exceed an organisation's quota."""

KEY_CHECK_WINDOW: Final = timedelta(hours=1)
"""The sliding window in which byok counts the checks of a key."""

IN_FLIGHT_RETRY_AFTER: Final = timedelta(minutes=1)
"""How long to wait before a retry if too many environments are in flight. byok cannot predict when an environment in
flight becomes ready or stops."""

Limit = Annotated[int, Field(ge=0, le=1_000_000)]


class Quota(StrEnum):
    """A quota of an organisation. The values appear in HTTP headers."""

    ENVIRONMENTS = "environments"
    IN_FLIGHT = "in-flight"
    KEY_CHECKS = "key-checks"


class QuotaLimits(BaseModel):
    """The limits that apply to one organisation.

    Attributes:
        environments: How many environments the organisation may have. Every environment counts until it is DELETED.
        in_flight: How many of the organisation's environments may be provisioned or deleted at the same time. byok
            never refuses a deletion.
        key_checks_per_hour: How many times the organisation may check the same key within an hour.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    environments: Limit = 1000
    in_flight: Limit = 100
    key_checks_per_hour: Limit = 60


class QuotaOverrides(BaseModel):
    """The limits that apply to one organisation instead of the common limits.

    If a limit is None, the common limit applies.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    environments: Limit | None = None
    in_flight: Limit | None = None
    key_checks_per_hour: Limit | None = None


class Quotas(QuotaLimits):
    """The limits of all organisations. There are no limits for the vendor's own environments.

    Attributes:
        organisations: The limits that differ from the common limits, by organisation name.
    """

    organisations: dict[Annotated[str, StringConstraints(pattern=ORGANISATION_PATTERN)], QuotaOverrides] = {}

    def limits_for(self, organisation: str) -> QuotaLimits:
        """Return the limits of an organisation."""
        common = self.model_dump(exclude={"organisations"})
        own = self.organisations.get(organisation, QuotaOverrides())
        return QuotaLimits(**(common | own.model_dump(exclude_none=True)))


class ExceededQuota(BaseModel):
    """A quota that an organisation has exhausted.

    Attributes:
        limit: The organisation's limit.
        used: How much of the quota the organisation uses, not counting the refused request.
        key_arn: The key that was checked too often, for the quota on key checks.
        retry_after: How long to wait before a retry can succeed; None if waiting alone does not help.
    """

    model_config = ConfigDict(frozen=True)

    quota: Quota
    organisation: str
    limit: int
    used: int
    key_arn: str | None = None
    retry_after: timedelta | None = None

    @property
    def message(self) -> str:
        """A message for users that states the organisation's usage and its quota."""
        if self.quota is Quota.ENVIRONMENTS:
            return f"{self.organisation} has {self.used} environments. Its quota is {self.limit}."
        if self.quota is Quota.IN_FLIGHT:
            return (
                f"byok is provisioning or deleting {self.used} environments of {self.organisation}. The quota for "
                f"environments in flight is {self.limit}."
            )
        return (
            f"{self.organisation} checked {self.key_arn} {self.used} times within the last hour. The quota is "
            f"{self.limit} checks per key per hour."
        )

    @property
    def advice(self) -> str:
        """Advice for users on what to do next."""
        raise_it = "or ask the platform's operator for a higher quota (BYOK_QUOTAS__ORGANISATIONS)"
        if self.quota is Quota.ENVIRONMENTS:
            return f"Delete an environment that is no longer needed, {raise_it}."
        if self.quota is Quota.IN_FLIGHT:
            return f"Try again when one of the environments is ready, stopped or deleted, {raise_it}."
        minutes = max(1, round((self.retry_after or KEY_CHECK_WINDOW) / timedelta(minutes=1)))
        return f"Try again in {minutes} min, {raise_it}."
