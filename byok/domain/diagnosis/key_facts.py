"""The facts that the key administrator's script collects about the two keys, and the parser for the script's output.

The script (`byok.onboarding.collection_script`) prints one JSON object that contains the AWS CLI's output. People copy
this object from a terminal, so the text may include the shell prompt, contain line breaks that the terminal inserted,
or be cut off. The parser accepts the text if it contains the complete output. If a part of the output is missing, the
parser raises an error that states which part is missing.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_pascal

from byok.domain.arns import KeyPurpose, account_id_of_role
from byok.domain.regions import UnknownRegionError, require_region
from byok.domain.scopes import ORGANISATION_PATTERN

COLLECTION_FORMAT: Final = "byok-keys/1"
"""The format of the script's output, which identifies the version of the script."""

COLLECTION_SCRIPT_FILE: Final = "byok-keys.sh"
"""The script's file name, as shown in messages."""

COLLECTED_KEYS_MAX_LENGTH: Final = 200_000
"""The longest text that the API and the wizard accept. The script's output is always shorter, because a key policy is
at most 32 KiB long and a key has at most 50 tags. Only text that contains a whole terminal session can be longer."""

_BEGINNING: Final = re.compile(r'\{\s*"format"\s*:')
_TRIES: Final = 20
_AS_A_FILE: Final = f"run `bash {COLLECTION_SCRIPT_FILE} > keys.json` and send the file keys.json"


class CollectedKeysError(ValueError):
    """Raised for text that does not contain the script's complete output. The message gives the reason."""


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


class _Collected(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, serialize_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_absent(cls, values: Any) -> Any:
        """Remove the fields that are `null`, so that they count as absent."""
        return {name: one for name, one in values.items() if one is not None} if isinstance(values, dict) else values


class _OfAws(_Collected):
    """A part of an AWS response. In JSON, the fields have the names that AWS uses."""

    model_config = ConfigDict(alias_generator=to_pascal, validate_by_name=False)


class CliOutput(_OfAws):
    """The output of one command, or the command's error.

    If the command did not run, all fields have their default values.

    Attributes:
        error: The AWS CLI's error message, on one line.
    """

    error: Annotated[str, AfterValidator(_on_one_line)] | None = Field(default=None, alias="error")


class KeyMetadata(_OfAws):
    """The relevant fields of KeyMetadata in the response to DescribeKey.

    The model accepts times both as numbers and as text, because the format of times depends on the AWS CLI version.
    """

    arn: str | None = None
    key_state: str | None = None
    key_spec: str = "SYMMETRIC_DEFAULT"
    key_usage: str = "ENCRYPT_DECRYPT"
    key_manager: str | None = None
    description: str | None = None
    origin: str | None = None
    custom_key_store_id: str | None = None
    deletion_date: datetime | None = None
    valid_to: datetime | None = None


class DescribedKey(CliOutput):
    """Output of `describe-key`."""

    key_metadata: KeyMetadata = KeyMetadata()


class KeyPolicy(CliOutput):
    """Output of `get-key-policy`."""

    policy: str | None = None


class RotationStatus(CliOutput):
    """Output of `get-key-rotation-status`."""

    key_rotation_enabled: bool | None = None


class Alias(_OfAws):
    """One alias of a key."""

    alias_name: str = ""


class Aliases(CliOutput):
    """Output of `list-aliases`. `aliases` is None if the aliases could not be listed."""

    aliases: tuple[Alias, ...] | None = None


class Tag(_OfAws):
    """One tag of a key."""

    tag_key: str = ""
    tag_value: str = ""


class Tags(CliOutput):
    """Output of `list-resource-tags`."""

    tags: tuple[Tag, ...] = ()


class CallerIdentity(CliOutput):
    """Output of `sts get-caller-identity`, which shows the identity that ran the script."""

    account: str | None = None
    arn: str | None = None


class CollectedKey(_Collected):
    """The facts collected about one key."""

    arn: Annotated[str, AfterValidator(str.strip)]
    describe_key: DescribedKey = DescribedKey()
    key_policy: KeyPolicy = KeyPolicy()
    rotation: RotationStatus = RotationStatus()
    aliases: Aliases = Aliases()
    tags: Tags = Tags()

    @property
    def metadata(self) -> KeyMetadata | None:
        """The key's metadata, or None if the script could not read the metadata."""
        found = self.describe_key.key_metadata
        return found if found.key_state else None


class CollectedKeys(_Collected):
    """The script's output.

    Attributes:
        platform_role_arn: The role to which the key policies must grant access.
        region: The environment's Region.
        organisation: The organisation that owns the environment; None for the vendor.
        caller: The identity that ran the script.
        s3: The facts about the S3 key.
        rds: The facts about the Aurora key.
    """

    format: str
    platform_role_arn: str
    region: str
    organisation: str | None = Field(default=None, pattern=ORGANISATION_PATTERN)
    caller: CallerIdentity = CallerIdentity()
    s3: CollectedKey
    rds: CollectedKey

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the script's output, and ignore any other text around it.

        Raises:
            CollectedKeysError: The text does not contain the script's output, or the output is incomplete or invalid.
        """
        content = _content(text)
        if content.get("format") != COLLECTION_FORMAT:
            shown = content.get("format", "no format")
            raise CollectedKeysError(
                f"This is the output of another version of the script ({shown}). Run the current script."
            )
        try:
            collection = cls.model_validate(content)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False))
            raise CollectedKeysError(f"This is not the script's output: {fields} is missing or invalid.") from error
        try:
            require_region(collection.region)
        except UnknownRegionError as error:
            raise CollectedKeysError(
                f"This is not the script's output: the value of region, {collection.region!r}, is {error}."
            ) from error
        try:
            account_id_of_role(collection.platform_role_arn)
        except ValueError as error:
            raise CollectedKeysError(f"This is not the script's output: {error}.") from error
        return collection

    def require_platform_role(self, platform_role_arn: str) -> None:
        """Raise an error if the facts were collected for a platform role other than the given role.

        Raises:
            CollectedKeysError: The script was generated for another platform role.
        """
        if self.platform_role_arn != platform_role_arn:
            raise CollectedKeysError(
                f"This is the output of a script for the platform role {self.platform_role_arn}, but the platform role "
                f"is {platform_role_arn}. Run the current script."
            )

    def key(self, which: KeyPurpose) -> CollectedKey:
        """Return the facts about one of the two keys."""
        return self.s3 if which is KeyPurpose.S3 else self.rds


def _content(text: str) -> dict[str, Any]:
    whole = _parse_json(text)
    if whole is not None and "format" in whole:
        return whole
    cut_off = damaged = False
    for found in _candidates(text):
        content = None if found is None else _parse_json(found)
        if content is not None:
            return content
        cut_off, damaged = cut_off or found is None, damaged or found is not None
    if cut_off:
        raise CollectedKeysError(
            f"The end of the script's output is missing. Copy everything that the script printed, or {_AS_A_FILE}."
        )
    if damaged:
        raise CollectedKeysError(f"The script's output was altered in transit and is not valid. Please {_AS_A_FILE}.")
    raise CollectedKeysError(
        'This is not the script\'s output, which starts with {"format": and ends with }. Copy everything that the '
        f"script printed, or {_AS_A_FILE}."
    )


def _parse_json(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        # The text is invalid JSON, contains a number with thousands of digits, or is nested thousands of levels deep.
        return None
    return content if isinstance(content, dict) else None


def _candidates(text: str) -> Iterator[str | None]:
    """Yield the JSON objects in text that may be the script's output, starting with the last object.

    For an object whose end is missing, yield None. The text may contain several objects, because a terminal echoes a
    script that is pasted into it, and because people sometimes run the script twice. The last object is the latest
    output.
    """
    starts = [match.start() for match in _BEGINNING.finditer(text)]
    for start in reversed(starts[-_TRIES:]):
        yield _object_at(text, start)


def _object_at(text: str, start: int) -> str | None:
    """Return the JSON object that starts at an offset, or None if its end is missing.

    Line breaks in strings are removed: JSON strings cannot contain line breaks, so a terminal must have inserted them.
    """
    kept: list[str] = []
    depth, in_string, escaped = 0, False, False
    for char in text[start:]:
        if in_string and char in "\r\n":
            continue
        kept.append(char)
        if in_string:
            in_string, escaped = escaped or char != '"', not escaped and char == "\\"
        elif char == '"':
            in_string = True
        elif char in "{[":
            depth += 1
        elif char in "}]":
            depth -= 1
            if depth == 0:
                return "".join(kept)
    return None
