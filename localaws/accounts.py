"""The two accounts, their callers, and the IAM policies of those callers.

The local AWS emulator also evaluates the platform role's least-privilege policy, because a key in another account is
usable only if both the key policy and the role's own policy allow its use. Tests can change the platform role's policy
with the IAM API, as for any other role.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from byok.domain.iam.evaluator import (
    AccessRequest,
    CallingPrincipal,
    Decision,
    Effect,
    Policy,
    evaluate_identity_policies,
)
from byok.domain.problems.aws_errors import OPERATIONS_BY_SERVICE
from localaws.call import AwsError, Call
from localaws.state import CUSTOMER_ACCOUNT, PLATFORM_ACCOUNT, STATE, Role

PLATFORM_ROLE_NAME: Final = "AtaccamaPlatform"
PLATFORM_ROLE_ARN: Final = f"arn:aws:iam::{PLATFORM_ACCOUNT}:role/{PLATFORM_ROLE_NAME}"

# Well-known credentials of three profiles. Only the local AWS emulator accepts these credentials.
PLATFORM_CREDENTIALS: Final = ("ASIAPLATFORM00000000", "local-platform-secret")
CUSTOMER_CREDENTIALS: Final = ("AKIACUSTOMER00000000", "local-customer-secret")
OPERATOR_CREDENTIALS: Final = ("AKIAOPERATOR00000000", "local-operator-secret")

_CUSTOMER: Final = CallingPrincipal(f"arn:aws:iam::{CUSTOMER_ACCOUNT}:user/KeyAdministrator", CUSTOMER_ACCOUNT)
_PLATFORM: Final = CallingPrincipal(
    f"arn:aws:sts::{PLATFORM_ACCOUNT}:assumed-role/{PLATFORM_ROLE_NAME}/worker", PLATFORM_ACCOUNT, PLATFORM_ROLE_ARN
)
_OPERATOR: Final = CallingPrincipal(f"arn:aws:iam::{PLATFORM_ACCOUNT}:user/Operator", PLATFORM_ACCOUNT)
_EVERYTHING: Final[Policy] = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


# Services that the `Operations` statement leaves out, because separate statements allow KMS calls and AssumeRole.
_OTHERWISE_ALLOWED: Final = frozenset({"kms", "sts"})


def build_platform_role_policy() -> dict[str, Any]:
    """Return the platform role's policy.

    The policy allows the activities' operations, and the use of keys through AWS services.

    To set aliases and tags on keys, the platform role assumes a role in the customer's account, if that role trusts the
    platform.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Operations",
                "Effect": "Allow",
                "Action": [
                    *sorted(
                        to_iam_action(service, name)
                        for service, names in OPERATIONS_BY_SERVICE.items()
                        if service not in _OTHERWISE_ALLOWED
                        for name in names
                    ),
                    *("rds:AddTagsToResource", "rds:ListTagsForResource", "s3:TagResource", "s3:ListBucket"),
                    *("s3:PutObjectTagging", "s3:DeleteObjectVersion"),
                ],
                "Resource": "*",
            },
            {
                "Sid": "CustomerKeysThroughServices",
                "Effect": "Allow",
                "Action": ["kms:*"],
                "Resource": "arn:*:kms:*:*:key/*",
                "Condition": {
                    "StringLike": {
                        # Secrets Manager calls KMS for the master user secret that RDS manages.
                        "kms:ViaService": [
                            "s3.*.amazonaws.com",
                            "rds.*.amazonaws.com",
                            "secretsmanager.*.amazonaws.com",
                        ]
                    }
                },
            },
            # The customers' trust policies decide which roles the platform may assume.
            {
                "Sid": "RolesOfCustomers",
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Resource": "arn:*:iam::*:role/*",
            },
            # This statement allows direct DescribeKey calls, so that only the customer's key policy can deny them.
            {"Sid": "Diagnosis", "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*"},
        ],
    }


def create_platform_role() -> None:
    """Create the platform role in its initial state."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{PLATFORM_ACCOUNT}:root"},
                "Action": "sts:AssumeRole",
            },
            # This statement lets the platform role assume itself with session tags. A role does not trust itself unless
            # its trust policy says so (AWS security blog, "Announcing an update to IAM role trust policy behavior").
            {
                "Effect": "Allow",
                "Principal": {"AWS": PLATFORM_ROLE_ARN},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            },
        ],
    }
    STATE.roles[PLATFORM_ROLE_ARN] = Role(
        arn=PLATFORM_ROLE_ARN,
        account=PLATFORM_ACCOUNT,
        name=PLATFORM_ROLE_NAME,
        trust=trust,
        policies={"platform": build_platform_role_policy()},
        created=datetime.now(UTC),
        role_id="AROAPLATFORM000000000",
    )


def find_caller(access_key: str) -> CallingPrincipal | None:
    """Return the principal that owns an access key id, or None."""
    known = {PLATFORM_CREDENTIALS[0]: _PLATFORM, CUSTOMER_CREDENTIALS[0]: _CUSTOMER, OPERATOR_CREDENTIALS[0]: _OPERATOR}
    if access_key in known:
        return known[access_key]
    session = STATE.sessions.get(access_key)
    role = STATE.roles.get(session.role_arn) if session else None
    if session is None or role is None:
        return None
    partition = role.arn.split(":")[1]
    arn = f"arn:{partition}:sts::{role.account}:assumed-role/{role.name}/{session.name}"
    # A session tag overrides a tag of the role with the same key (IAM user guide, "Pass session tags in AWS STS").
    return CallingPrincipal(arn, role.account, role.arn, tuple((role.tags | session.tags).items()))


def find_secret(access_key: str) -> str:
    """Return the secret access key for an access key id that `find_caller` knows."""
    known = dict((PLATFORM_CREDENTIALS, CUSTOMER_CREDENTIALS, OPERATOR_CREDENTIALS))
    return known[access_key] if access_key in known else STATE.sessions[access_key].secret


def is_session_expired(access_key: str) -> bool:
    """Return whether an access key id belongs to an expired session."""
    session = STATE.sessions.get(access_key)
    return session is not None and session.expires <= datetime.now(UTC)


def get_identity_policies(caller: CallingPrincipal) -> list[Policy]:
    """Return the policies of the caller's role.

    An IAM user is an administrator of its account, and may perform every action.
    """
    if caller.role_arn is None:
        return [_EVERYTHING]
    role = STATE.roles.get(caller.role_arn)
    return list(role.policies.values()) if role else []


def build_principal_condition_keys(caller: CallingPrincipal) -> dict[str, str | list[str]]:
    """Return the condition keys that every request from a caller contains (IAM user guide, "Global condition keys")."""
    now = datetime.now(UTC)
    return {
        "aws:PrincipalAccount": caller.account,
        "aws:PrincipalArn": caller.role_arn or caller.arn,
        "aws:CurrentTime": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "aws:EpochTime": str(int(now.timestamp())),
        **{f"aws:PrincipalTag/{name}": value for name, value in caller.tags},
    }


def evaluate_identity_access(
    caller: CallingPrincipal, action: str, resource: str, context: dict[str, Any] | None = None
) -> Decision:
    """Evaluate the caller's own policies."""
    access = AccessRequest(caller, action, resource, build_principal_condition_keys(caller) | (context or {}))
    return evaluate_identity_policies(get_identity_policies(caller), access)


def explain_identity_denial(caller: CallingPrincipal, action: str, resource: str, named: str = "") -> str | None:
    """Return IAM's message if the caller's own policies deny an action, or None if they allow it.

    Args:
        caller: The principal that makes the call.
        action: The action, such as `kms:CreateAlias`.
        resource: ARN of the resource.
        named: The resource's name in the message. By default, the message contains the ARN.

    Sources: IAM user guide, "Access denied error messages"; recorded errors of KMS and IAM.
    """
    decision = evaluate_identity_access(caller, action, resource)
    if decision.allowed:
        return None
    denied = decision.effect is Effect.EXPLICIT_DENY
    why = (
        "with an explicit deny in an identity-based policy"
        if denied
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {caller.arn} is not authorized to perform: {action} on resource: {named or resource} {why}"


def authorize(call: Call, resource: str) -> None:
    """Check the caller's own policies for an operation.

    Raises:
        AwsError: `AccessDenied`, 403.
    """
    action = to_iam_action(call.service, call.operation, call.params.get("VersionId"))
    message = explain_identity_denial(call.caller, action, resource)
    if message:
        raise AwsError("AccessDenied", message, 403)


def write_aws_config(folder: Path, endpoint: str, region: str) -> tuple[Path, Path]:
    """Write an AWS config with the profiles `byok` (the customer), `platform` and `operator`, all using this endpoint.

    The profile `platform` is a session of the platform role, and the profile `operator` administers the platform's
    account.

    Returns:
        The paths of the config file and the credentials file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, credentials = folder / "config", folder / "credentials"
    profiles = {"byok": CUSTOMER_CREDENTIALS, "platform": PLATFORM_CREDENTIALS, "operator": OPERATOR_CREDENTIALS}
    config.write_text(
        "".join(
            f"[profile {name}]\nregion = {region}\nendpoint_url = {endpoint}\noutput = json\n\n" for name in profiles
        )
    )
    credentials.touch(mode=0o600)
    credentials.write_text(
        "".join(
            f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n\n"
            for name, (key, secret) in profiles.items()
        )
    )
    return config, credentials


def render_policy(policy: Policy) -> str:
    """Render a policy as IAM and KMS return it."""
    return json.dumps(policy, indent=2)


# S3 operations whose IAM action has a different name (service authorization reference, "Amazon S3").
_ACTION_NAMES: Final = {
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "HeadObject": "GetObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "ListBuckets": "ListAllMyBuckets",
    "GetObjectTagging": "GetObjectVersionTagging",
}
_OF_VERSIONS: Final = frozenset({"DeleteObject", "GetObject"})


def to_iam_action(service: str, operation: str, version: str | None = None) -> str:
    """Return the IAM action that an operation needs, such as `s3:ListBucket` for HeadBucket.

    Access to a specific object version requires a separate IAM action (service authorization reference, "Amazon S3").
    """
    if service != "s3":
        return f"{service}:{operation}"
    action = _ACTION_NAMES.get(operation, operation)
    return f"s3:{action}Version" if version is not None and action in _OF_VERSIONS else f"s3:{action}"
