"""What has been filled in so far. It lies in the page's address: whoever leaves and comes back finds it again."""

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, ValidationError

from byok.domain.arns import REGION_PATTERN, KeyPair
from byok.domain.models import Problem, ProvisionRequest
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, ENVIRONMENT_ID_PATTERN
from byok.domain.onboarding.customer_commands import DEFAULT_PROFILE, DEFAULT_STACK_NAME
from byok.domain.onboarding.payload import PayloadError, expand_payload_fields
from byok.domain.phases import OnFailure
from byok.domain.problems.build import find_arn_problems
from byok.domain.problems.remediation import RemedyContext
from byok.domain.vendor import VendorProfile


class EncryptionKeyOwner(StrEnum):
    """Whose keys encrypt the environment."""

    PLATFORM = "platform"
    CUSTOMER = "customer"


class Tab(StrEnum):
    """What is shown of the key policy statements and the template."""

    TEMPLATE = "template"
    STATEMENTS = "statements"


_LONGEST: Final = 2048


class EnvironmentDraft(BaseModel):
    """The fields of the wizard.

    Attributes:
        name: The environment's id, without its organisation's name in front.
        profile: The customer's AWS CLI profile, for the commands.
        stack: Name of the stack that makes the keys.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    region: str = ""
    encryption: EncryptionKeyOwner = EncryptionKeyOwner.CUSTOMER
    s3_key_arn: str = ""
    rds_key_arn: str = ""
    on_failure: OnFailure = OnFailure.KEEP
    tab: Tab = Tab.TEMPLATE
    profile: str = DEFAULT_PROFILE
    stack: str = DEFAULT_STACK_NAME

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "EnvironmentDraft":
        """The draft that an address or a form says; what cannot be a field's value counts as not filled in."""
        given = {name: _text(fields[name]) for name in cls.model_fields if fields.get(name)}
        with suppress(PayloadError):  # it stays in its field, where it is told what is wrong with it
            given = {name: _text(value) for name, value in expand_payload_fields(given).items()}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            wrong = {fault["loc"][0] for fault in error.errors()}
            return cls.model_validate({name: value for name, value in given.items() if name not in wrong})

    def page_url(self, page: str, *, asked: bool = False, **changes: object) -> str:
        """The address of a page with this draft in it.

        Args:
            page: Its path.
            asked: Whether the page is to say what is wrong, as after its button for the next step.
            changes: Fields that are otherwise.
        """
        fields = self.model_copy(update=changes).model_dump(mode="json", exclude_defaults=True)
        query = urlencode(fields | ({"next": "1"} if asked else {}))
        return f"{page}?{query}" if query else page

    def full_environment_id(self, prefix: str) -> str:
        """The whole id."""
        return f"{prefix}{self.name}"

    def build_provision_request(self, prefix: str) -> ProvisionRequest:
        """What is asked for.

        Raises:
            ValidationError: Something is missing, or is not as it has to be.
        """
        return ProvisionRequest(
            environment_id=self.full_environment_id(prefix),
            region=self.region,
            s3_key_arn=self.s3_key_arn,
            rds_key_arn=self.rds_key_arn,
            on_failure=self.on_failure,
        )

    def field_errors(self, prefix: str, *names: str) -> dict[str, str]:
        """What is wrong with some fields by themselves, each in a sentence."""
        whole = self.full_environment_id(prefix)
        named = (
            re.match(ENVIRONMENT_ID_PATTERN, whole) and len(whole) <= ENVIRONMENT_ID_MAX_LENGTH and whole.isprintable()
        )
        payload_fault = self._payload_fault()
        found = {
            "name": None if named else _SENTENCES["name"],
            "region": None if re.fullmatch(REGION_PATTERN, self.region) else _SENTENCES["region"],
            "s3_key_arn": payload_fault or (None if self.s3_key_arn else _SENTENCES["s3_key_arn"]),
            "rds_key_arn": None if self.rds_key_arn or payload_fault else _SENTENCES["rds_key_arn"],
        }
        return {name: fault for name in names if (fault := found[name])}

    def _payload_fault(self) -> str | None:
        """What is wrong with a payload in either field; None where there is none: a good one was taken apart."""
        try:
            expand_payload_fields({"s3_key_arn": self.s3_key_arn, "rds_key_arn": self.rds_key_arn})
        except PayloadError as error:
            return str(error)
        return None

    def key_arn_problems(self, role: str, vendor: VendorProfile, at: datetime) -> tuple[Problem, ...]:
        """What the rules for ARNs have to say, as far as both are filled in; nobody is asked (contract 81-84)."""
        return find_arn_problems(
            KeyPair(self.s3_key_arn, self.rds_key_arn), RemedyContext(self.region, role, vendor), at
        )


_SENTENCES: Final = {
    "name": "Use lower-case letters, digits and single hyphens, beginning with a letter; at most 32 characters in all.",
    "region": "Give the name of an AWS Region, such as eu-central-1.",
    "s3_key_arn": "Give the full ARN of your S3 key: arn:aws:kms:…:key/….",
    "rds_key_arn": "Give the full ARN of your RDS key: arn:aws:kms:…:key/….",
}


def _text(value: object) -> str:
    """What can be shown and sent on of a field: half a character, as JSON may name one, cannot."""
    return str(value).encode(errors="replace").decode().strip()[:_LONGEST]
