"""Decides whether a caller may use a key, either directly through KMS, or through S3 or RDS.

The checks run in AWS's order: the Region in the ARN, the caller's permission, the key's state, and the key's usage. If
the ARN contains another account, KMS returns the same error for a key that does not exist and for a key that the caller
is not allowed to use. The error messages are taken verbatim from recorded AWS responses.
"""

import time
from dataclasses import dataclass
from typing import Final

from byok.domain.arns import InvalidKeyArnError, KeyArn, parse_key_arn, partition_of_region
from byok.domain.iam.evaluator import (
    AccessRequest,
    CallingPrincipal,
    Effect,
    decide_access,
    evaluate_identity_policies,
    evaluate_policy,
)
from localaws.accounts import build_principal_condition_keys, get_identity_policies
from localaws.state import STATE, Grant, Key, KeyRevision

_HIDDEN: Final = (
    "on this resource because the resource does not exist in this Region, no resource-based policies allow access, "
    "or a resource-based policy explicitly denies access"
)
# States in which a key cannot be used, with their names in error messages (KMS developer guide, "Key states of AWS KMS
# keys").
_STATE_WORDS: Final = {
    "PendingDeletion": "pending deletion",
    "PendingReplicaDeletion": "pending replica deletion",
    "PendingImport": "pending import",
    "Creating": "creating",
    "Unavailable": "unavailable",
}
_CRYPTOGRAPHIC: Final = frozenset(
    {
        "kms:Encrypt",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    }
)


@dataclass
class KmsError(Exception):
    """A key cannot be used. The error has KMS's code and message."""

    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


@dataclass(frozen=True)
class KeyUse:
    """An intended use of a key.

    Attributes:
        caller: The principal that uses the key.
        action: The action, such as `kms:GenerateDataKey`.
        region: The Region that receives the call.
        via: The service that calls KMS for the caller, as the value of `kms:ViaService`. None for a direct call.
        for_aws_resource: Whether the use creates a grant for an AWS resource (`kms:GrantIsForAWSResource`).
        context: The encryption context.
        ciphertext: Whether the key is identified only by a ciphertext. In that case, an error does not contain the
            key's ARN.
        tags: The tags that the request adds to the key.
        tag_keys: The tag keys in the request.
    """

    caller: CallingPrincipal
    action: str
    region: str
    via: str | None = None
    for_aws_resource: bool = False
    context: tuple[tuple[str, str], ...] = ()
    ciphertext: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    tag_keys: tuple[str, ...] = ()

    @property
    def condition_keys(self) -> dict[str, str | list[str]]:
        """Return the values of the request's condition keys. Condition keys that AWS would not set are omitted."""
        keys = build_principal_condition_keys(self.caller) | {"kms:CallerAccount": self.caller.account}
        if self.via:
            keys["kms:ViaService"] = self.via
            keys["aws:ViaAWSService"] = "true"
        if self.for_aws_resource:
            keys["kms:GrantIsForAWSResource"] = "true"
        if self.tag_keys:
            keys["aws:TagKeys"] = list(self.tag_keys)
        keys |= {f"aws:RequestTag/{name}": value for name, value in self.tags}
        keys |= {f"kms:EncryptionContext:{name}": value for name, value in self.context}
        return keys


def resolve_key_arn(reference: str, account: str, region: str) -> str:
    """Return the ARN of the key that a caller refers to by id, ARN, alias name or alias ARN.

    Raises:
        KmsError: `reference` does not refer to a key, or refers to a key in another Region.
    """
    if reference.startswith("arn:"):
        parts = reference.split(":", 5)
        if len(parts) != 6 or parts[2] != "kms":  # noqa: PLR2004 - the parts of an ARN
            raise KmsError("NotFoundException", f"Invalid arn {reference}")
        if parts[3] != region:
            raise KmsError("NotFoundException", f"Invalid arn {parts[3]}")
        if parts[5].startswith("alias/"):
            return _key_of_alias(reference)
        return reference
    if reference.startswith("alias/"):
        return _key_of_alias(f"arn:{partition_of_region(region)}:kms:{region}:{account}:{reference}")
    arn = f"arn:{partition_of_region(region)}:kms:{region}:{account}:key/{reference}"
    try:
        return str(parse_key_arn(arn))
    except InvalidKeyArnError:
        raise KmsError("NotFoundException", f"Invalid keyId '{reference}'") from None


def find_propagated_revision(key: Key) -> KeyRevision | None:
    """Return the key's latest revision that has propagated to S3 and RDS, or None if no revision has propagated yet."""
    horizon = time.time() - STATE.propagation_seconds
    return next((facts for facts in reversed(key.revisions) if facts.at <= horizon), None)


def build_key_condition_keys(arn: str) -> dict[str, str | list[str]]:
    """Return the condition keys that come from a key's tags and aliases. A nonexistent key has no condition keys.

    In the local AWS emulator, a changed tag or alias affects authorization immediately. In AWS, the change takes effect
    only after a delay (KMS developer guide, "ABAC for AWS KMS").
    """
    key = STATE.keys.get(arn)
    if key is None:
        return {}
    aliases = [alias.name for alias in STATE.aliases.values() if alias.target == arn]
    tags: dict[str, str | list[str]] = {f"aws:ResourceTag/{name}": value for name, value in key.tags.items()}
    return tags | ({"kms:ResourceAliases": aliases} if aliases else {})


def authorize_key_use(arn: str, use: KeyUse) -> Key:
    """Return the key if this use of the key is allowed.

    Raises:
        KmsError: The use is not allowed. The error has KMS's code and message.
    """
    named = _arn_of(arn)
    if named.region != use.region:
        raise KmsError("NotFoundException", f"Invalid arn {named.region}")
    key = STATE.keys.get(arn)
    facts = key.latest if key and use.via is None else find_propagated_revision(key) if key else None
    if key is None or facts is None:
        if named.account == use.caller.account:
            raise KmsError("NotFoundException", f"Key '{arn}' does not exist")
        raise _access_denied(use, _HIDDEN)
    _authorize(key, facts, use)
    _must_be_usable(key, facts, use.action)
    return key


def _authorize(key: Key, facts: KeyRevision, use: KeyUse) -> None:
    identities = get_identity_policies(use.caller)
    access = AccessRequest(use.caller, use.action, key.arn, use.condition_keys | build_key_condition_keys(key.arn))
    by_key, by_identity = evaluate_policy(facts.policy, access), evaluate_identity_policies(identities, access)
    # An explicit deny overrides a grant (KMS developer guide, "Key policies in AWS KMS").
    granted = any(_grant_allows(grant, use) for grant in key.grants.values())
    if granted and Effect.EXPLICIT_DENY not in {by_key.effect, by_identity.effect}:
        return
    if decide_access(facts.policy, key.account, identities, access).allowed:
        return
    foreign = key.account != use.caller.account
    if foreign and not by_key.allowed:
        raise _access_denied(use, _HIDDEN)
    if by_key.effect is Effect.EXPLICIT_DENY:
        why = "with an explicit deny in a resource-based policy"
    elif by_identity.effect is Effect.EXPLICIT_DENY:
        why = "with an explicit deny in an identity-based policy"
    else:
        # If the key policy delegates to the caller's account, the denial comes from the caller's own policies.
        kind = "identity-based" if by_key.allowed else "resource-based"
        why = f"because no {kind} policy allows the {use.action} action"
    unnamed = use.ciphertext and not foreign
    what = "the resource associated with this ciphertext" if unnamed else f"resource: {key.arn}"
    raise _access_denied(use, f"on {what} {why}")


def _must_be_usable(key: Key, facts: KeyRevision, action: str) -> None:
    if action in _CRYPTOGRAPHIC or action == "kms:CreateGrant":
        if facts.state == "Disabled":
            raise KmsError("DisabledException", f"{key.arn} is disabled.")
        if facts.state == "Unavailable" and action == "kms:CreateGrant":
            return
        if facts.state in _STATE_WORDS:
            raise KmsError("KMSInvalidStateException", f"{key.arn} is {_STATE_WORDS[facts.state]}.")
    if action in _CRYPTOGRAPHIC and (key.usage != "ENCRYPT_DECRYPT" or key.spec != "SYMMETRIC_DEFAULT"):
        operation = action.split(":")[1]
        message = f"{key.arn} key usage is {key.usage} which is not valid for {operation}."
        raise KmsError("InvalidKeyUsageException", message)


def _grant_allows(grant: Grant, use: KeyUse) -> bool:
    """Return whether a grant allows a use of its key.

    Constraints apply to cryptographic operations only. In a constraint, the name in each pair is not case-sensitive,
    but the value is (botocore's KMS model, GrantConstraints).
    """
    if grant.grantee not in {use.caller.arn, use.caller.role_arn} or use.action.split(":")[1] not in grant.operations:
        return False
    if use.action not in _CRYPTOGRAPHIC:
        return True
    given = _ignore_case(dict(use.context))
    equal, subset = grant.constraints.get("EncryptionContextEquals"), grant.constraints.get("EncryptionContextSubset")
    if equal is not None and _ignore_case(equal) != given:
        return False
    return subset is None or _ignore_case(subset).items() <= given.items()


def _ignore_case(context: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in context.items()}


def _access_denied(use: KeyUse, why: str) -> KmsError:
    message = f"User: {use.caller.arn} is not authorized to perform: {use.action} {why}"
    return KmsError("AccessDeniedException", message)


def _arn_of(arn: str) -> KeyArn:
    try:
        return parse_key_arn(arn)
    except InvalidKeyArnError:
        raise KmsError("NotFoundException", f"Invalid keyId '{arn.rpartition('/')[2]}'") from None


def _key_of_alias(alias_arn: str) -> str:
    alias = STATE.aliases.get(alias_arn)
    if alias is None:
        raise KmsError("NotFoundException", f"Alias {alias_arn} is not found.")
    return alias.target
