"""Grants on keys, created by callers and services. Grants work across accounts, and take effect immediately.

Retiring a grant is not modelled, so retiring principals are not modelled either.
"""

import secrets
from datetime import UTC, datetime
from typing import Any, Final

from localaws.call import AwsError, Call, Operation, models, not_modelled_error
from localaws.kms.pages import paginate
from localaws.kms.permissions import authorize_key_call, stop_dry_run
from localaws.state import Grant, Key

_CONSTRAINTS: Final = frozenset({"EncryptionContextEquals", "EncryptionContextSubset"})


def add_grant(key: Key, grantee: str, operations: list[str], issuer: str) -> Grant:
    """Add a grant to a key, either for a CreateGrant call or for a resource that a service creates for a caller."""
    grant = Grant(secrets.token_hex(32), grantee, operations, datetime.now(UTC), issuing_account=issuer)
    key.grants[grant.grant_id] = grant
    return grant


@models("KeyId", "GranteePrincipal", "Operations", "Constraints", "Name", "DryRun")
def create_grant(call: Call) -> dict[str, Any]:
    """CreateGrant: create a grant on a key. The call must identify the key by key ARN or key id, not by alias.

    If a grant with the same name and parameters already exists, the call returns that grant's id (botocore's KMS model,
    `Name`).
    """
    key = authorize_key_call(call, "CreateGrant")
    grantee, operations = call.params["GranteePrincipal"], list(call.params["Operations"])
    constraints = _parse_constraints(call, operations)
    stop_dry_run(call)
    name = call.params.get("Name")
    wanted = (name, grantee, sorted(operations), constraints)
    grant = next((one for one in key.grants.values() if name and _describe_permission(one) == wanted), None)
    if grant is None:
        grant = add_grant(key, grantee, operations, call.caller.account)
        grant.name, grant.constraints = name or "", constraints
    return {"GrantId": grant.grant_id, "GrantToken": secrets.token_urlsafe(48)}


@models("KeyId", "GranteePrincipal", "Limit", "Marker")
def list_grants(call: Call) -> dict[str, Any]:
    """ListGrants."""
    key, grantee = authorize_key_call(call, "ListGrants"), call.params.get("GranteePrincipal")
    grants = [
        {
            "KeyId": key.arn,
            "GrantId": grant.grant_id,
            "Name": grant.name,
            "CreationDate": grant.created,
            "GranteePrincipal": grant.grantee,
            "IssuingAccount": grant.issuing_account,
            "Operations": grant.operations,
            **({"Constraints": grant.constraints} if grant.constraints else {}),
        }
        for grant in key.grants.values()
        if grantee in {None, grant.grantee}
    ]
    return paginate(call, "Grants", grants)


@models("KeyId", "GrantId", "DryRun")
def revoke_grant(call: Call) -> dict[str, Any]:
    """RevokeGrant."""
    key, grant_id = authorize_key_call(call, "RevokeGrant"), call.params["GrantId"]
    if grant_id not in key.grants:
        raise AwsError("NotFoundException", f"Grant ID {grant_id} not found")
    stop_dry_run(call)
    del key.grants[grant_id]
    return {}


def _parse_constraints(call: Call, operations: list[str]) -> dict[str, dict[str, str]]:
    """Return the constraints of a new grant. A grant that has constraints and allows CreateGrant is not modelled."""
    constraints = {name: value for name, value in (call.params.get("Constraints") or {}).items() if value is not None}
    unmodelled = [f"Constraints.{name}" for name in sorted(set(constraints) - _CONSTRAINTS)]
    if constraints and "CreateGrant" in operations:
        unmodelled.append("Constraints together with the operation CreateGrant")
    if unmodelled:
        raise not_modelled_error(f"{', '.join(unmodelled)} of kms:CreateGrant")
    return {name: dict(value) for name, value in constraints.items()}


def _describe_permission(grant: Grant) -> tuple[str, str, list[str], dict[str, dict[str, str]]]:
    return grant.name, grant.grantee, sorted(grant.operations), grant.constraints


HANDLERS: Final[dict[str, Operation]] = {
    "CreateGrant": create_grant,
    "ListGrants": list_grants,
    "RevokeGrant": revoke_grant,
}
