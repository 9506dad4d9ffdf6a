"""Stores the requester of a replay or a cancellation as a note in the reason for the operation.

Temporal records this reason. Reset and cancellation requests have no memo. If the client has a payload codec, byok
encodes the note with this codec, because Temporal stores a reason as plain text.
"""

import base64
import binascii
import re
from typing import Final

from google.protobuf.message import DecodeError
from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

from byok.domain.models import Requester

_RESET_REASON: Final = re.compile(r"(?P<step>replayed from \w+)(?: (?P<note>.+))?", re.DOTALL)


async def format_reset_reason(converter: DataConverter, step: str, requester: Requester | None) -> str:
    """Return the reason that byok gives Temporal for a reset.

    The reason contains the name of the activity at which the run resumes, and the requester. Temporal records its own
    history service as the identity of every reset.
    """
    return f"replayed from {step} {await encode_requester(converter, requester)}".rstrip()


async def parse_note(converter: DataConverter, text: str) -> tuple[Requester | None, str]:
    """Split the reason for a reset or a cancellation into the requester and a readable reason.

    The readable reason is the reason that the requester gave. If the requester of a reset gave no reason, the readable
    reason is the name of the activity at which the run resumes. If a person wrote the text, the requester is None, and
    the readable reason is the whole text.
    """
    own = _RESET_REASON.fullmatch(text)
    requester = await decode_requester(converter, (own["note"] or "") if own else text)
    if own is None:
        return requester, (requester.reason or "") if requester else text
    return requester, (requester and requester.reason) or own["step"]


async def encode_requester(converter: DataConverter, requester: Requester | None) -> str:
    """Return the note for a requester; an empty string if the requester is not known."""
    if requester is None:
        return ""
    if converter.payload_codec is None:
        return requester.model_dump_json(exclude_none=True)
    (payload,) = await converter.encode([requester])
    return base64.b64encode(payload.SerializeToString()).decode()


async def decode_requester(converter: DataConverter, note: str) -> Requester | None:
    """Return the requester that a note contains; None if byok did not write the text, for example if a person did."""
    try:
        if note.startswith("{"):
            return Requester.model_validate_json(note)
        payload = Payload.FromString(base64.b64decode(note, validate=True))
        if not payload.data:
            return None
        (requester,) = await converter.decode([payload], [Requester])
    except (ValidationError, binascii.Error, DecodeError, ValueError, RuntimeError):
        return None
    return requester if isinstance(requester, Requester) else None
