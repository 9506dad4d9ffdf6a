"""Rotation of key material, automatic and on demand.

After a rotation, the key encrypts with new key material, and still decrypts with the earlier key material. The key's
id, ARN and policy stay the same (KMS developer guide, "Rotate AWS KMS keys"). The local AWS emulator rotates only on
demand, never on a schedule.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.fernet import Fernet

from localaws.call import AwsError, Call, Operation, models, not_modelled_error
from localaws.kms.operations import SYMMETRIC_SPEC
from localaws.kms.pages import paginate
from localaws.kms.permissions import authorize_key_call, require_key_state_not_in, require_own_key
from localaws.state import Key

# Source: botocore's KMS model, EnableKeyRotation.
_ROTATION_DAYS: Final = range(90, 2561)
_USUAL_ROTATION_DAYS: Final = 365
# "You can perform on-demand key rotation a maximum of 25 times per KMS key" (botocore's KMS model, RotateKeyOnDemand).
_MOST_ROTATIONS: Final = 25


@models("KeyId", "RotationPeriodInDays")
def enable_key_rotation(call: Call) -> dict[str, Any]:
    """EnableKeyRotation: enable automatic rotation, by default every 365 days.

    Keys with imported key material have no automatic rotation (botocore's KMS model, EnableKeyRotation).
    """
    key, days = _require_rotatable_key(call), call.params.get("RotationPeriodInDays") or _USUAL_ROTATION_DAYS
    if key.origin != "AWS_KMS":
        raise AwsError("UnsupportedOperationException", f"{key.arn} origin is {key.origin} which is not valid.")
    if days not in _ROTATION_DAYS:
        bounds = f"between {_ROTATION_DAYS.start} and {_ROTATION_DAYS.stop - 1}"
        raise AwsError("ValidationException", f"RotationPeriodInDays is {days} and must be {bounds}")
    key.rotation_days, key.next_rotation = days, datetime.now(UTC) + timedelta(days=days)
    return {}


@models("KeyId")
def disable_key_rotation(call: Call) -> dict[str, Any]:
    """DisableKeyRotation."""
    key = _require_rotatable_key(call)
    key.rotation_days = key.next_rotation = None
    return {}


@models("KeyId")
def get_key_rotation_status(call: Call) -> dict[str, Any]:
    """GetKeyRotationStatus.

    The response contains the period and the next rotation date only while rotation is enabled. The response never
    contains the start of an on-demand rotation, because AWS returns it only while a rotation is in progress, and
    rotations in the local AWS emulator are instantaneous.
    """
    key = authorize_key_call(call, "GetKeyRotationStatus")
    status: dict[str, Any] = {"KeyRotationEnabled": key.rotation_days is not None, "KeyId": key.arn}
    if key.rotation_days is not None:
        status |= {"RotationPeriodInDays": key.rotation_days, "NextRotationDate": key.next_rotation}
    return status


@models("KeyId")
def rotate_key_on_demand(call: Call) -> dict[str, Any]:
    """RotateKeyOnDemand: replace the key material, at most 25 times for each key.

    Raises:
        AwsError: `DisabledException`, `KMSInvalidStateException`, `UnsupportedOperationException` or
            `LimitExceededException` (botocore's KMS model). We found no recorded message for `LimitExceededException`.
    """
    key = _require_rotatable_key(call)
    if key.origin != "AWS_KMS":
        raise not_modelled_error("kms:RotateKeyOnDemand of imported key material")
    if key.latest.state == "Disabled":
        raise AwsError("DisabledException", f"{key.arn} is disabled.")
    require_key_state_not_in(key, "PendingDeletion")
    if len(key.rotations) >= _MOST_ROTATIONS:
        raise AwsError("LimitExceededException", f"{key.arn} has been rotated on demand {_MOST_ROTATIONS} times.")
    key.earlier_secrets.append(key.secret)
    key.secret = Fernet.generate_key()
    key.rotations.append(datetime.now(UTC))
    return {"KeyId": key.arn}


@models("KeyId", "Limit", "Marker")
def list_key_rotations(call: Call) -> dict[str, Any]:
    """ListKeyRotations: return the completed rotations."""
    key = require_own_key(call)
    rotations = [{"KeyId": key.arn, "RotationDate": date, "RotationType": "ON_DEMAND"} for date in key.rotations]
    return paginate(call, "Rotations", rotations)


def _require_rotatable_key(call: Call) -> Key:
    key = require_own_key(call)
    if key.spec != SYMMETRIC_SPEC:
        raise AwsError("UnsupportedOperationException", f"{key.arn} cannot be rotated automatically.")
    return key


HANDLERS: Final[dict[str, Operation]] = {
    "EnableKeyRotation": enable_key_rotation,
    "DisableKeyRotation": disable_key_rotation,
    "GetKeyRotationStatus": get_key_rotation_status,
    "RotateKeyOnDemand": rotate_key_on_demand,
    "ListKeyRotations": list_key_rotations,
}
