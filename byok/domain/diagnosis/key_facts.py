"""What the owner's script collects of the two keys, and how it is read.

The script prints one JSON object of the AWS CLI's own answers (`byok.onboarding.collection_script`). What comes back
has often been copied from a terminal: with the prompt around it, with lines that the terminal has broken, or without
its end. It is read all the same where nothing is lost, and told in words where something is.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_pascal

from byok.domain.arns import REGION_PATTERN, KeyPurpose, account_id_of_role

COLLECTION_FORMAT: Final = "byok-keys/1"
"""Says which script made a collection."""

COLLECTION_SCRIPT_FILE: Final = "byok-keys.sh"
"""The script's file in what people are told."""

_BEGINNING: Final = re.compile(r'\{\s*"format"\s*:')
_TRIES: Final = 20
_AS_A_FILE: Final = f"run `bash {COLLECTION_SCRIPT_FILE} > keys.json` and send the file keys.json"


class CollectedKeysError(ValueError):
    """A file that is not what the script prints; the text says so."""


def _on_one_line(text: str) -> str:
    return " ".join(text.split())


class _Collected(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, serialize_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_absent(cls, values: Any) -> Any:
        """`null` says no more than a name that is not there."""
        return {name: one for name, one in values.items() if one is not None} if isinstance(values, dict) else values


class _OfAws(_Collected):
    """A part of an answer, under AWS's own names."""

    model_config = ConfigDict(alias_generator=to_pascal, validate_by_name=False)


class CliOutput(_OfAws):
    """What a command printed, or what it printed instead; nothing at all where it was not run.

    Attributes:
        error: The AWS CLI's words, on one line.
    """

    error: Annotated[str, AfterValidator(_on_one_line)] | None = Field(default=None, alias="error")


class KeyMetadata(_OfAws):
    """KeyMetadata of DescribeKey, as far as it matters here. Some AWS CLIs print moments as numbers, others as text."""

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
    """Of `describe-key`."""

    key_metadata: KeyMetadata = KeyMetadata()


class KeyPolicy(CliOutput):
    """Of `get-key-policy`."""

    policy: str | None = None


class RotationStatus(CliOutput):
    """Of `get-key-rotation-status`."""

    key_rotation_enabled: bool | None = None


class Alias(_OfAws):
    """One alias of a key."""

    alias_name: str = ""


class Aliases(CliOutput):
    """Of `list-aliases`; None where they could not be listed."""

    aliases: tuple[Alias, ...] | None = None


class Tag(_OfAws):
    """One tag of a key."""

    tag_key: str = ""
    tag_value: str = ""


class Tags(CliOutput):
    """Of `list-resource-tags`."""

    tags: tuple[Tag, ...] = ()


class CallerIdentity(CliOutput):
    """Of `sts get-caller-identity`: who ran the script."""

    account: str | None = None
    arn: str | None = None


class CollectedKey(_Collected):
    """What the owner can see of one key."""

    arn: Annotated[str, AfterValidator(str.strip)]
    describe_key: DescribedKey = DescribedKey()
    key_policy: KeyPolicy = KeyPolicy()
    rotation: RotationStatus = RotationStatus()
    aliases: Aliases = Aliases()
    tags: Tags = Tags()

    @property
    def metadata(self) -> KeyMetadata | None:
        """What KMS says of the key; None where it could not be looked at."""
        found = self.describe_key.key_metadata
        return found if found.key_state else None


class CollectedKeys(_Collected):
    """What the script prints.

    Attributes:
        platform_role_arn: The role that the policies have to name.
        region: The environment's Region.
        caller: Who ran the script.
        s3: The S3 key.
        rds: The Aurora key.
    """

    format: str
    platform_role_arn: str
    region: str
    caller: CallerIdentity = CallerIdentity()
    s3: CollectedKey
    rds: CollectedKey

    @classmethod
    def parse(cls, text: str) -> Self:
        """The collection in a text, whatever stands around it.

        Raises:
            CollectionError: There is none in it, or not all of it.
        """
        content = _content(text)
        if content.get("format") != COLLECTION_FORMAT:
            shown = content.get("format", "no format")
            raise CollectedKeysError(f"This was made by another version of the script ({shown}): run it anew.")
        try:
            collection = cls.model_validate(content)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors(include_input=False))
            raise CollectedKeysError(f"This is not what the script prints: {fields} is missing or wrong.") from error
        if not re.fullmatch(REGION_PATTERN, collection.region):
            raise CollectedKeysError(
                f"This is not what the script prints: its region, {collection.region!r}, is not the name of an AWS "
                "Region, such as eu-central-1."
            )
        try:
            account_id_of_role(collection.platform_role_arn)
        except ValueError as error:
            raise CollectedKeysError(f"This is not what the script prints: {error}.") from error
        return collection

    def key(self, which: KeyPurpose) -> CollectedKey:
        """One of the two keys."""
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
        raise CollectedKeysError(f"The end is missing: copy everything the script printed, or {_AS_A_FILE}.")
    if damaged:
        raise CollectedKeysError(f"What the script printed was changed on its way and cannot be read: {_AS_A_FILE}.")
    raise CollectedKeysError(
        'This is not what the script prints: that begins with {"format": and ends with }. Copy everything the script '
        f"printed, or {_AS_A_FILE}."
    )


def _parse_json(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, a number of thousands of digits, thousands of brackets
        return None
    return content if isinstance(content, dict) else None


def _candidates(text: str) -> Iterator[str | None]:
    """The objects in a text that may be a collection, the last first; None for one that does not end.

    A terminal shows a script that is pasted into it, and people run one twice: the last is what was printed in the end.
    """
    starts = [match.start() for match in _BEGINNING.finditer(text)]
    for start in reversed(starts[-_TRIES:]):
        yield _object_at(text, start)


def _object_at(text: str, start: int) -> str | None:
    """The JSON object that begins there, without line breaks inside its strings; None where it does not end.

    JSON has no line breaks inside strings: those that are there were put in by a terminal.
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
