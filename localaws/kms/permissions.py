"""Who may call KMS directly: on a key, on an alias, or on nothing in particular.

Which of the three an operation needs is written in botocore's KMS model, "Required permissions": `(key policy)` means
the key, `(IAM policy)` the caller's own policies alone.
"""

from localaws.accounts import explain_identity_denial
from localaws.call import AwsError, Call
from localaws.kms.authorization import KeyUse, KmsError, authorize_key_use, resolve_key_arn
from localaws.state import Key


def check_identity_policies(call: Call, resource: str = "*", action: str | None = None) -> None:
    """Check the caller's own policies: for an operation on an alias, or on no resource at all, which is `*`.

    Args:
        call: Who calls, and for what.
        resource: The alias's ARN.
        action: Where it is not called as the operation is, `TagResource`.

    Raises:
        AwsError: `AccessDeniedException`. Recorded of CreateAlias and CreateKey: "… is not authorized to perform:
            kms:CreateKey on resource: * because no identity-based policy allows the kms:CreateKey action".
    """
    message = explain_identity_denial(call.caller, f"kms:{action or call.operation}", resource)
    if message:
        raise AwsError("AccessDeniedException", message)


def authorize_key_call(call: Call, action: str, reference: str | None = None, *, ciphertext: bool = False) -> Key:
    """The key of a direct call, if the caller may call so.

    Raises:
        AwsError: With the code and text of KMS.
    """
    given = call.params
    tags = [(tag["TagKey"], tag.get("TagValue", "")) for tag in given.get("Tags") or []]
    try:
        arn = resolve_key_arn(reference or given.get("KeyId", ""), call.caller.account, call.region)
        use = KeyUse(
            caller=call.caller,
            action=f"kms:{action}",
            region=call.region,
            context=tuple((given.get("EncryptionContext") or {}).items()),
            ciphertext=ciphertext,
            tags=tuple(tags),
            tag_keys=tuple(given.get("TagKeys") or [name for name, _ in tags]),
        )
        return authorize_key_use(arn, use)
    except KmsError as refused:
        raise AwsError(refused.code, refused.message) from refused


def require_own_key(call: Call, reference: str | None = None) -> Key:
    """The key of an operation that only its own account can do.

    Raises:
        AwsError: With the code and text of KMS; of a key of another account no record of AWS's own words was found.
    """
    key = authorize_key_call(call, call.operation, reference)
    if key.account != call.caller.account:
        message = (
            f"User: {call.caller.arn} is not authorized to perform: kms:{call.operation} on resource: {key.arn}: "
            "the operation cannot be done on a key of another account"
        )
        raise AwsError("AccessDeniedException", message)
    return key


def require_key_state_not_in(key: Key, *states: str) -> None:
    """See that a key is in none of the states that forbid an operation (KMS developer guide, "Key states").

    Raises:
        AwsError: `KMSInvalidStateException`, recorded text.
    """
    if key.latest.state in states:
        words = {"PendingDeletion": "pending deletion", "PendingImport": "pending import"}
        raise AwsError("KMSInvalidStateException", f"{key.arn} is {words.get(key.latest.state, key.latest.state)}.")
