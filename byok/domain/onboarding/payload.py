"""The onboarding payload: a JSON object that contains both key ARNs (contract 45-50, D4).

The payload is an output of the customer's stack.

Wherever byok accepts two ARNs, it also accepts the payload: either as the value of one of the ARN fields, or with the
payload's two fields placed directly in the request. The payload may be compact or pretty-printed. This module does not
check whether the ARNs are usable.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from byok.domain.arns import KEY_ARN_MAX_LENGTH, KeyPurpose

S3_KEY_FIELD: Final = "S3KmsKeyArn"
RDS_KEY_FIELD: Final = "RdsKmsKeyArn"

_FIELDS: Final = {"s3_key_arn": S3_KEY_FIELD, "rds_key_arn": RDS_KEY_FIELD}
_LABELS: Final = {
    "s3_key_arn": f"The field {KeyPurpose.S3.field_label}",
    "rds_key_arn": f"The field {KeyPurpose.RDS.field_label}",
    "payload": "The request",
}
"""The field names in messages. The wizard and the documentation use the same field names."""


class PayloadError(ValueError):
    """Raised for an invalid onboarding payload. The message explains what is wrong."""


def parse_payload(given: Any) -> dict[str, str]:
    """Extract both ARNs from a payload, and return them as the fields of a request.

    Args:
        given: The payload as text or as parsed JSON. A one-item list, and a JSON string that itself contains JSON, are
            also accepted, because the AWS CLI prints the payload in these forms with `--output json`.

    Raises:
        PayloadError: The payload is not a JSON object, the ARN of a key is missing, or the stack has no payload output.
    """
    content = given
    for _ in range(3):
        if content in _NO_OUTPUT or (isinstance(content, str) and content.strip() in _NO_OUTPUT):
            raise PayloadError(_NO_OUTPUT_MESSAGE)
        if isinstance(content, str):
            try:
                content = json.loads(content)
            except (ValueError, RecursionError) as error:
                raise PayloadError(f"The onboarding payload is not valid JSON: {error}. {_SHAPE}") from error
        if isinstance(content, list) and len(content) == 1:
            content = content[0]
    if not isinstance(content, Mapping):
        raise PayloadError(f"The onboarding payload is not a JSON object. {_SHAPE}")
    missing = [
        name for name in (S3_KEY_FIELD, RDS_KEY_FIELD) if not isinstance(content.get(name), str) or not content[name]
    ]
    if missing:
        raise PayloadError(f"The onboarding payload lacks {' and '.join(missing)}. {_SHAPE}")
    return {field: content[name].strip() for field, name in _FIELDS.items()}


def expand_payload_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request's fields, with the ARNs taken from the payload if the request contains one.

    Raises:
        PayloadError: The payload is invalid, or the payload and the ARN fields contain different keys.
    """
    fields = {name: _strip(value) if name in _FIELDS else value for name, value in values.items()}
    given = {field: fields[field] for field in _FIELDS if is_payload(fields.get(field))}
    if S3_KEY_FIELD in fields or RDS_KEY_FIELD in fields:
        given["payload"] = {name: fields.pop(name) for name in (S3_KEY_FIELD, RDS_KEY_FIELD) if name in fields}
    for where, payload in given.items():
        for field, arn in parse_payload(payload).items():
            other = fields.get(field)
            if not is_payload(other) and other not in {None, "", arn}:
                raise PayloadError(
                    f"{_LABELS[where]} contains the onboarding payload, but another field contains a different key."
                )
            fields[field] = arn
    return fields


def _strip(value: Any) -> Any:
    # Text that is too long is left unchanged, so that the length limit applies to the text that the user sent.
    return value.strip() if isinstance(value, str) and len(value) <= KEY_ARN_MAX_LENGTH else value


def is_payload(value: Any) -> bool:
    """Return whether the value of an ARN field is meant to be an onboarding payload, even if the payload is invalid."""
    return isinstance(value, Mapping) or (
        isinstance(value, str) and (value.lstrip().startswith(("{", "[", '"{')) or value.strip() in {"None", "null"})
    )


_SHAPE: Final = f'A payload looks like this: {{"{S3_KEY_FIELD}":"arn:aws:kms:…","{RDS_KEY_FIELD}":"arn:aws:kms:…"}}.'

_NO_OUTPUT: Final[tuple[Any, ...]] = (None, [], "", "None", "null", "[]")
"""The values that the AWS CLI prints for a query without results, with `--output text` and with `--output json`."""

_NO_OUTPUT_MESSAGE: Final = (
    "The stack has no onboarding payload: either the stack has not reached CREATE_COMPLETE yet, or the stack "
    "name or the Region is wrong."
)
