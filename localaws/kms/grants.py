"""Grants on keys, created by callers and services. Grants work across accounts."""

import secrets
from datetime import UTC, datetime
from typing import Any, Final

from localaws.call import AwsError, Call, Handler
from localaws.kms.pages import paginate
from localaws.kms.permissions import authorize_key_call
from localaws.state import Grant, Key


def add_grant(key: Key, grantee: str, operations: list[str], issuer: str) -> Grant:
    """Record a grant, as a service does for a resource that it creates on a caller's behalf."""
    grant = Grant(secrets.token_hex(32), grantee, operations, datetime.now(UTC), issuing_account=issuer)
    key.grants[grant.grant_id] = grant
    return grant


def create_grant(call: Call) -> dict[str, Any]:
    """CreateGrant. AWS accepts only a full key ARN or a key id. Unlike AWS, this also accepts an alias."""
    key = authorize_key_call(call, "CreateGrant")
    grant = add_grant(key, call.params["GranteePrincipal"], list(call.params["Operations"]), call.caller.account)
    grant.name = call.params.get("Name", "")
    return {"GrantId": grant.grant_id, "GrantToken": secrets.token_urlsafe(48)}


def list_grants(call: Call) -> dict[str, Any]:
    """ListGrants."""
    key = authorize_key_call(call, "ListGrants")
    grants = [
        {
            "KeyId": key.arn,
            "GrantId": grant.grant_id,
            "Name": grant.name,
            "CreationDate": grant.created,
            "GranteePrincipal": grant.grantee,
            "IssuingAccount": grant.issuing_account,
            "Operations": grant.operations,
        }
        for grant in key.grants.values()
    ]
    return paginate(call, "Grants", grants)


def revoke_grant(call: Call) -> dict[str, Any]:
    """RevokeGrant."""
    key = authorize_key_call(call, "RevokeGrant")
    if key.grants.pop(call.params["GrantId"], None) is None:
        raise AwsError("NotFoundException", f"Grant ID {call.params['GrantId']} not found")
    return {}


HANDLERS: Final[dict[str, Handler]] = {
    "CreateGrant": create_grant,
    "ListGrants": list_grants,
    "RevokeGrant": revoke_grant,
}
