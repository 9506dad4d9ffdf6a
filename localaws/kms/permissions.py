"""Permissions for direct KMS calls: on a key, on an alias, or on no resource.

"Required permissions" in botocore's KMS model states which permission an operation needs. `(key policy)` means
permission on the key, and `(IAM policy)` means that only the caller's own policies are checked.
"""

from localaws.accounts import explain_identity_denial
from localaws.call import AwsError, Call
from localaws.kms.authorization import KeyUse, KmsError, authorize_key_use, resolve_key_arn
from localaws.state import Key


def check_identity_policies(call: Call, resource: str = "*", action: str | None = None) -> None:
    """Check the caller's own policies for an operation on an alias, or for an operation without a resource.

    Args:
        call: The call with its caller and operation.
        resource: The alias's ARN, or `*` for an operation without a resource.
        action: The action, such as `TagResource`, if its name differs from the operation's name.

    Raises:
        AwsError: `AccessDeniedException`. For CreateAlias and CreateKey, the error message was recorded from AWS: "… is
            not authorized to perform: kms:CreateKey on resource: * because no identity-based policy allows the
            kms:CreateKey action".
    """
    message = explain_identity_denial(call.caller, f"kms:{action or call.operation}", resource)
    if message:
        raise AwsError("AccessDeniedException", message)


def authorize_key_call(call: Call, action: str, reference: str | None = None, *, ciphertext: bool = False) -> Key:
    """Return the key that a direct call uses, if the caller may make the call.

    Raises:
        AwsError: The call is not allowed. The error has KMS's code and message.
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
    """Return the key for an operation that works only in the key's own account.

    Raises:
        AwsError: The call is not allowed. The error has KMS's code and message. We found no recording of KMS's message
            for a key in another account.
    """
    key = authorize_key_call(call, call.operation, reference)
    if key.account != call.caller.account:
        message = (
            f"User: {call.caller.arn} is not authorized to perform: kms:{call.operation} on resource: {key.arn}: "
            "this operation does not work on a key in another account"
        )
        raise AwsError("AccessDeniedException", message)
    return key


def require_key_state_not_in(key: Key, *states: str) -> None:
    """Check that the key's state allows the operation (KMS developer guide, "Key states").

    Raises:
        AwsError: `KMSInvalidStateException`, with the text recorded from AWS.
    """
    if key.latest.state in states:
        words = {"PendingDeletion": "pending deletion", "PendingImport": "pending import"}
        raise AwsError("KMSInvalidStateException", f"{key.arn} is {words.get(key.latest.state, key.latest.state)}.")


def stop_dry_run(call: Call) -> None:
    """End a dry run. Handlers call this function after all checks, immediately before the operation itself.

    In a dry run, KMS verifies that the caller has the permission, but does not execute the operation (KMS developer
    guide, "Testing your permissions").

    Raises:
        AwsError: `DryRunOperationException` if the call is a dry run. The message comes from the CloudTrail events in
            AWS's documentation. No recording of this error shows its HTTP status; all other recorded KMS errors have
            the status 400.
    """
    if call.params.get("DryRun"):
        message = "The request would have succeeded, but the DryRun option is set."
        raise AwsError("DryRunOperationException", message)
