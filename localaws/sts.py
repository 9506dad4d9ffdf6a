"""STS: GetCallerIdentity and AssumeRole."""

import secrets
import string
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from byok.domain.iam.evaluator import AccessRequest, decide_access
from localaws.accounts import build_principal_condition_keys, get_identity_policies
from localaws.call import AwsError, Call, Operation, models
from localaws.state import STATE, Role, Session

_ALPHABET: Final = string.ascii_uppercase + string.digits
_HOUR: Final = 3600


@models()
def get_caller_identity(call: Call) -> dict[str, Any]:
    """GetCallerIdentity: return the caller's identity. The call requires no permission."""
    return {"UserId": f"AIDA{call.caller.account}", "Account": call.caller.account, "Arn": call.caller.arn}


@models("RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId", "Tags")
def assume_role(call: Call) -> dict[str, Any]:
    """AssumeRole: return credentials for a new session of a role, if the role's trust policy allows the call.

    The caller's own policy must allow the call too if the caller is in another account, or if the trust policy's
    principal is the whole account (IAM user guide, "Cross-account policy evaluation logic"). If the role does not
    exist, the caller gets the same error as for a call that is not allowed.

    A call with session tags also needs sts:TagSession (IAM user guide, "Pass session tags in AWS STS"). The session
    tags are not transitive.
    """
    arn = call.params["RoleArn"]
    context = build_principal_condition_keys(call.caller)
    if call.params.get("ExternalId"):
        context["sts:ExternalId"] = call.params["ExternalId"]
    tags = {tag["Key"]: tag["Value"] for tag in call.params.get("Tags") or []}
    if tags:
        context |= {"aws:TagKeys": list(tags), **{f"aws:RequestTag/{name}": value for name, value in tags.items()}}
    role = STATE.roles.get(arn)
    if role is None:
        raise _access_denied(call, "sts:AssumeRole", arn)
    for action in ("sts:AssumeRole", "sts:TagSession") if tags else ("sts:AssumeRole",):
        access = AccessRequest(call.caller, action, arn, context)
        identities = get_identity_policies(call.caller)
        if not decide_access(role.trust, role.account, identities, access).allowed:
            raise _access_denied(call, action, arn)
    seconds = call.params.get("DurationSeconds") or _HOUR
    _check_duration(call, role, seconds)
    access_key = "ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    session = Session(arn, call.params["RoleSessionName"], secrets.token_urlsafe(30), expires, tags)
    STATE.sessions[access_key] = session
    return {
        "Credentials": {
            "AccessKeyId": access_key,
            "SecretAccessKey": session.secret,
            "SessionToken": secrets.token_urlsafe(60),
            "Expiration": expires,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role.role_id}:{session.name}",
            "Arn": f"arn:{arn.split(':')[1]}:sts::{role.account}:assumed-role/{role.name}/{session.name}",
        },
    }


def _access_denied(call: Call, action: str, arn: str) -> AwsError:
    message = f"User: {call.caller.arn} is not authorized to perform: {action} on resource: {arn}"
    return AwsError("AccessDenied", message, 403)


def _check_duration(call: Call, role: Role, seconds: int) -> None:
    """Check the requested session duration. A role can assume another role for at most an hour (botocore, AssumeRole).

    Raises:
        AwsError: `ValidationError`, with AWS's exact message.
    """
    if call.caller.role_arn and seconds > _HOUR:
        what = "the 1 hour session limit for roles assumed by role chaining"
        raise AwsError("ValidationError", f"The requested DurationSeconds exceeds {what}.")
    if seconds > role.max_session_seconds:
        what = "the MaxSessionDuration set for this role"
        raise AwsError("ValidationError", f"The requested DurationSeconds exceeds {what}.")


HANDLERS: Final[dict[str, Operation]] = {"GetCallerIdentity": get_caller_identity, "AssumeRole": assume_role}
