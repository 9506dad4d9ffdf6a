"""The user's input to the wizard.

Each page's URL contains the input, so that the user can leave the wizard and return later. `byok.wizard.saved_drafts`
also keeps the input in cookies.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from byok.domain.arns import KeyPair
from byok.domain.customer_aws import PROFILE_PATTERN, STACK_NAME_PATTERN, default_stack_name
from byok.domain.models import Problem, ProvisionRequest
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, ENVIRONMENT_ID_PATTERN
from byok.domain.onboarding.payload import PayloadError, expand_payload_fields, is_payload
from byok.domain.phases import Encryption, OnFailure, RequestKind
from byok.domain.problems.build import find_arn_problems
from byok.domain.problems.remediation import RemedyContext
from byok.domain.regions import RegionNotInUseError, UnknownRegionError, require_region, require_region_in_use
from byok.domain.scopes import environment_id_prefix
from byok.domain.vendor import VendorProfile


class Tab(StrEnum):
    """The selected tab: the way in which the customer creates the keys."""

    TEMPLATE = "template"
    STATEMENTS = "statements"
    TERRAFORM = "terraform"


DRAFT_ID_PATTERN: Final = r"[A-Za-z0-9_-]{8}"
_RUN_ID_PATTERN: Final = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LONGEST: Final = 2048


class EnvironmentDraft(BaseModel):
    """The fields of the wizard.

    Attributes:
        draft: The id of the draft, which distinguishes the drafts of one user; empty for a draft that has no id yet.
        name: The environment's id without the organisation's prefix.
        profile: The customer's AWS CLI profile, for the commands; empty for commands without a profile.
        stack: The name of the stack that creates the keys; empty for the default, which contains the environment's id.
        check: The run id of the latest key check; empty if no check was started. If the user changes the keys, byok no
            longer finds this check.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    draft: str = Field(default="", pattern=rf"^({DRAFT_ID_PATTERN})?$")
    name: str = ""
    region: str = ""
    encryption: Encryption = Encryption.CUSTOMER_MANAGED
    s3_key_arn: str = ""
    rds_key_arn: str = ""
    on_failure: OnFailure = OnFailure.KEEP
    tab: Tab = Tab.TEMPLATE
    profile: str = ""
    stack: str = ""
    check: str = Field(default="", pattern=rf"^({_RUN_ID_PATTERN})?$")

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "EnvironmentDraft":
        """Build the draft from the fields of a query string or a form. An invalid value is treated as missing."""
        given = {name: _text(fields[name]) for name in cls.model_fields if fields.get(name)}
        with suppress(PayloadError):  # an invalid payload stays in its field, and the page shows the error there
            given = {name: _text(value) for name, value in expand_payload_fields(given).items()}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = {fault["loc"][0] for fault in error.errors()}
            return cls.model_validate({name: value for name, value in given.items() if name not in wrong})

    def page_url(self, page: str, *, asked: bool = False, **changes: object) -> str:
        """Return the URL of a page, with this draft in the query string.

        Args:
            page: The page's path.
            asked: Whether the page shows validation errors. A page shows them once the user has selected *Next*.
            changes: Fields to change. The URL always contains these fields, even with their default values, because a
                field that is missing from the URL keeps its saved value.
        """
        changed = self.model_copy(update=changes)
        fields = changed.model_dump(mode="json", exclude_defaults=True)
        fields |= changed.model_dump(mode="json", include=set(changes))
        query = urlencode(fields | ({"next": "1"} if asked else {}))
        return f"{page}?{query}" if query else page

    @property
    def is_platform_managed(self) -> bool:
        """Whether the environment uses the platform's own keys, in which case the two key fields are ignored."""
        return self.encryption is Encryption.PLATFORM_MANAGED

    def full_environment_id(self, prefix: str) -> str:
        """Return the environment's id: the organisation's prefix, followed by the name."""
        return f"{prefix}{self.name}"

    @property
    def has_own_commands(self) -> bool:
        """Whether the user has entered values for the AWS CLI commands."""
        return bool(self.stack or self.profile)

    def stack_name(self, prefix: str) -> str:
        """Return the name of the stack that creates the keys: the user's choice, or the environment's default."""
        return self.stack or default_stack_name(self.full_environment_id(prefix))

    def build_provision_request(self, organisation: str | None) -> ProvisionRequest:
        """Build the request for this environment.

        Args:
            organisation: The user's organisation; None for the vendor's staff.

        Raises:
            ValidationError: A field is missing or invalid.
        """
        prefix = environment_id_prefix(organisation)
        values: dict[str, Any] = {
            "organisation": organisation,
            "environment_id": self.full_environment_id(prefix),
            "region": self.region,
            "encryption": self.encryption,
            "on_failure": self.on_failure,
        }
        if not self.is_platform_managed:
            values |= {
                "s3_key_arn": self.s3_key_arn,
                "rds_key_arn": self.rds_key_arn,
                "profile": self.profile,
                "stack_name": self.stack_name(prefix),
            }
        return ProvisionRequest.model_validate(values)

    def field_errors(self, prefix: str, regions: Sequence[str], *names: str) -> dict[str, str]:
        """Return an error message for each of the given fields that is invalid.

        A field is invalid if its value is missing or malformed, or if the value is a Region that is not in use.

        Args:
            prefix: The prefix of the ids of the user's environments.
            regions: The Regions in use.
            names: The fields to check.
        """
        whole = self.full_environment_id(prefix)
        named = (
            re.fullmatch(ENVIRONMENT_ID_PATTERN, whole)
            and len(whole) <= ENVIRONMENT_ID_MAX_LENGTH
            and whole.isprintable()
        )
        payload_faults = self.payload_faults()
        found = {
            "name": None if named else _SENTENCES["name" if self.name else "no name"],
            "region": self._region_fault(regions),
            **{
                field: None if payload_faults or getattr(self, field) else _SENTENCES[field]
                for field in ("s3_key_arn", "rds_key_arn")
            },
            **payload_faults,
            "profile": None if re.fullmatch(PROFILE_PATTERN, self.profile) else _SENTENCES["profile"],
            "stack": None if re.fullmatch(STACK_NAME_PATTERN, self.stack_name(prefix)) else _SENTENCES["stack"],
        }
        return {name: fault for name in names if (fault := found[name])}

    def _region_fault(self, regions: Sequence[str]) -> str | None:
        """Return the error message for the Region field; None if the Region is in use (contract 133)."""
        try:
            require_region(self.region)
            require_region_in_use(self.region, regions)
        except UnknownRegionError as error:
            return f"{self.region} is {error}." if self.region else _SENTENCES["region"]
        except RegionNotInUseError:
            return f"The platform does not use the Region {self.region}. Choose one of: {', '.join(regions)}."
        return None

    def payload_faults(self) -> dict[str, str]:
        """Return the error message for an invalid payload, by the name of the field that contains the payload.

        `from_fields` splits valid payloads into ARNs.
        """
        try:
            expand_payload_fields({"s3_key_arn": self.s3_key_arn, "rds_key_arn": self.rds_key_arn})
        except PayloadError as error:
            return {"s3_key_arn" if is_payload(self.s3_key_arn) else "rds_key_arn": str(error)}
        return {}

    def key_arn_problems(
        self, role: str, vendor: VendorProfile, organisation: str | None, at: datetime
    ) -> tuple[Problem, ...]:
        """Validate the two ARNs without calling AWS. Both fields must be filled in (contract 81-84)."""
        context = RemedyContext(
            self.region,
            role,
            vendor,
            request_kind=RequestKind.KEY_CHECK,
            profile=self.profile,
            organisation=organisation,
        )
        return find_arn_problems(KeyPair(self.s3_key_arn, self.rds_key_arn), context, at)


_SENTENCES: Final = {
    "no name": "Enter a name for the environment.",
    "name": "Start with a letter. Use at most 32 lower-case letters, digits and single hyphens in total.",
    "region": "Choose the AWS Region of the environment.",
    "s3_key_arn": "Enter the full ARN of your S3 key: arn:aws:kms:…:key/….",
    "rds_key_arn": "Enter the full ARN of your Aurora key: arn:aws:kms:…:key/….",
    "profile": "Use up to 64 letters, digits, dots, hyphens and underscores.",
    "stack": "Use up to 128 letters, digits and hyphens, starting with a letter.",
}


def _text(value: object) -> str:
    """Return a field's text without lone surrogates, which JSON allows but a page cannot show or send."""
    return str(value).encode(errors="replace").decode().strip()[:_LONGEST]
