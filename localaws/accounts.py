"""Two accounts, who may call, and what their IAM policies allow.

The platform's role has a least-privilege policy, kept here so that it can be changed like any other: across accounts a
key is usable only when the key policy *and* the role's own policy allow it.
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

# Well-known credentials of three profiles; nothing but this local AWS takes them.
PLATFORM_CREDENTIALS: Final = ("ASIAPLATFORM00000000", "local-platform-secret")
CUSTOMER_CREDENTIALS: Final = ("AKIACUSTOMER00000000", "local-customer-secret")
OPERATOR_CREDENTIALS: Final = ("AKIAOPERATOR00000000", "local-operator-secret")

_CUSTOMER: Final = CallingPrincipal(f"arn:aws:iam::{CUSTOMER_ACCOUNT}:user/KeyAdministrator", CUSTOMER_ACCOUNT)
_PLATFORM: Final = CallingPrincipal(
    f"arn:aws:sts::{PLATFORM_ACCOUNT}:assumed-role/{PLATFORM_ROLE_NAME}/worker", PLATFORM_ACCOUNT, PLATFORM_ROLE_ARN
)
_OPERATOR: Final = CallingPrincipal(f"arn:aws:iam::{PLATFORM_ACCOUNT}:user/Operator", PLATFORM_ACCOUNT)
_EVERYTHING: Final[Policy] = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


# KMS is called as a role of the customer's, and that role is taken on by a statement of its own.
_OTHERWISE_ALLOWED: Final = frozenset({"kms", "sts"})


def build_platform_role_policy() -> dict[str, Any]:
    """What the platform's role may do: the operations the activities call, and keys through S3 and RDS alone.

    Aliases and tags are put on keys by a role of the customer's, which this one may take on where it is trusted.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Operations",
                "Effect": "Allow",
                "Action": [
                    *sorted(
                        _iam_action(service, name)
                        for service, names in OPERATIONS_BY_SERVICE.items()
                        if service not in _OTHERWISE_ALLOWED
                        for name in names
                    ),
                    *("rds:AddTagsToResource", "rds:ListTagsForResource", "s3:TagResource", "s3:ListBucket"),
                    "s3:PutObjectTagging",
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
                        # Secrets Manager, too: it calls KMS for the master user secret that RDS manages.
                        "kms:ViaService": [
                            "s3.*.amazonaws.com",
                            "rds.*.amazonaws.com",
                            "secretsmanager.*.amazonaws.com",
                        ]
                    }
                },
            },
            # Which roles there are to take on, the customers' trust policies say.
            {
                "Sid": "RolesOfCustomers",
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Resource": "arn:*:iam::*:role/*",
            },
            # A direct call is allowed here, so that it is the customer's key policy alone that denies it.
            {"Sid": "Diagnosis", "Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*"},
        ],
    }


def create_platform_role() -> None:
    """Make the platform's role as it is on a fresh start."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{PLATFORM_ACCOUNT}:root"},
                "Action": "sts:AssumeRole",
            }
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
    """Who holds an access key id, None where nobody does."""
    known = {PLATFORM_CREDENTIALS[0]: _PLATFORM, CUSTOMER_CREDENTIALS[0]: _CUSTOMER, OPERATOR_CREDENTIALS[0]: _OPERATOR}
    if access_key in known:
        return known[access_key]
    session = STATE.sessions.get(access_key)
    role = STATE.roles.get(session.role_arn) if session else None
    if session is None or role is None:
        return None
    partition = role.arn.split(":")[1]
    arn = f"arn:{partition}:sts::{role.account}:assumed-role/{role.name}/{session.name}"
    return CallingPrincipal(arn, role.account, role.arn)


def is_session_expired(access_key: str) -> bool:
    """Whether an access key id is that of a session whose time is over."""
    session = STATE.sessions.get(access_key)
    return session is not None and session.expires <= datetime.now(UTC)


def get_identity_policies(caller: CallingPrincipal) -> list[Policy]:
    """The policies of the caller's role; a user is the account's administrator."""
    if caller.role_arn is None:
        return [_EVERYTHING]
    role = STATE.roles.get(caller.role_arn)
    return list(role.policies.values()) if role else []


def build_principal_condition_keys(caller: CallingPrincipal) -> dict[str, str | list[str]]:
    """The condition keys that every request carries for its caller (IAM user guide, "Global condition keys")."""
    return {"aws:PrincipalAccount": caller.account, "aws:PrincipalArn": caller.role_arn or caller.arn}


def evaluate_identity_access(
    caller: CallingPrincipal, action: str, resource: str, context: dict[str, Any] | None = None
) -> Decision:
    """What the caller's own policies say."""
    access = AccessRequest(caller, action, resource, build_principal_condition_keys(caller) | (context or {}))
    return evaluate_identity_policies(get_identity_policies(caller), access)


def explain_identity_denial(caller: CallingPrincipal, action: str, resource: str, named: str = "") -> str | None:
    """Why the caller's own policies refuse, in the words of IAM; None where they allow.

    Args:
        caller: Who calls.
        action: What for, `kms:CreateAlias`.
        resource: ARN of what it is about.
        named: What the refusal calls it, where that is not its ARN.

    Sources: IAM user guide, "Access denied error messages"; recorded refusals of KMS and IAM.
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
    message = explain_identity_denial(call.caller, _iam_action(call.service, call.operation), resource)
    if message:
        raise AwsError("AccessDenied", message, 403)


def write_aws_config(folder: Path, endpoint: str, region: str) -> tuple[Path, Path]:
    """Write an AWS config with the profiles `byok` (the customer), `platform` and `operator`, all pointing here.

    `platform` is a session of the role that the key policies name, `operator` administers the platform's account.

    Returns:
        The paths of the config and of the credentials file.
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
    """A policy as IAM and KMS give it back."""
    return json.dumps(policy, indent=2)


# Where the IAM action is not called as the operation is (service authorization reference, "Amazon S3").
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


def _iam_action(service: str, operation: str) -> str:
    return f"{service}:{_ACTION_NAMES.get(operation, operation) if service == 's3' else operation}"
