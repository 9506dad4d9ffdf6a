"""Every call that the platform makes with a customer's key, and the request context of each call.

S3 and RDS call KMS as the platform role (forward access sessions), so the role is the principal, and `kms:ViaService`
identifies the service. Sources: S3 user guide, "Using server-side encryption with AWS KMS keys"; "Encrypting Amazon
Aurora resources"; AWS KMS developer guide, "kms:ViaService" and "kms:GrantIsForAWSResource".
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from byok.domain.arns import KeyPurpose, account_id_of_role, partition_of_region
from byok.domain.iam.evaluator import AccessRequest, CallingPrincipal
from byok.domain.iam.statements import ORGANISATION_CONDITION_KEY, via_service_value
from byok.domain.vendor import VendorProfile


class NeededFor(StrEnum):
    """Whether the platform needs a call for provisioning or only for later operations."""

    PROVISIONING = "provisioning"
    OPERATION = "operation"


@dataclass(frozen=True)
class PlatformCall:
    """One call that the platform makes with a key.

    Attributes:
        permission: The entry in a statement's Action that allows the call, for example `kms:GenerateDataKey*`.
        action: The action of the call itself, for example `kms:GenerateDataKey`.
        service: The service that makes the call on the platform's behalf.
        need: Whether a denial stops provisioning or breaks only a later operation.
        purpose: The purpose of the call, as shown to users.
        for_aws_resource: Whether the call concerns a grant for an AWS resource.
    """

    permission: str
    action: str
    service: str
    need: NeededFor
    purpose: str
    for_aws_resource: bool = False


_PROVISIONING, _OPERATION = NeededFor.PROVISIONING, NeededFor.OPERATION

CALLS_BY_PURPOSE: Final[dict[KeyPurpose, tuple[PlatformCall, ...]]] = {
    KeyPurpose.S3: (
        PlatformCall("kms:GenerateDataKey*", "kms:GenerateDataKey", "s3", _PROVISIONING, "S3 encrypts objects"),
        PlatformCall("kms:Decrypt", "kms:Decrypt", "s3", _PROVISIONING, "S3 decrypts objects"),
        PlatformCall("kms:Encrypt", "kms:Encrypt", "s3", _OPERATION, "S3 encrypts small data directly"),
        PlatformCall("kms:ReEncrypt*", "kms:ReEncryptFrom", "s3", _OPERATION, "S3 re-encrypts data from this key"),
        PlatformCall("kms:ReEncrypt*", "kms:ReEncryptTo", "s3", _OPERATION, "S3 re-encrypts data to this key"),
        PlatformCall(
            "kms:GenerateDataKey*",
            "kms:GenerateDataKeyWithoutPlaintext",
            "s3",
            _OPERATION,
            "S3 creates a data key for later use",
        ),
        PlatformCall("kms:DescribeKey", "kms:DescribeKey", "s3", _OPERATION, "S3 describes the key"),
    ),
    KeyPurpose.RDS: (
        PlatformCall("kms:DescribeKey", "kms:DescribeKey", "rds", _PROVISIONING, "RDS describes the key"),
        PlatformCall(
            "kms:CreateGrant", "kms:CreateGrant", "rds", _PROVISIONING, "RDS creates a grant for the cluster", True
        ),
        PlatformCall("kms:ListGrants", "kms:ListGrants", "rds", _OPERATION, "RDS lists its grants", True),
        PlatformCall("kms:RevokeGrant", "kms:RevokeGrant", "rds", _OPERATION, "RDS revokes its grants", True),
    ),
}

_ADMINISTRATION: Final = tuple(
    (f"kms:{action}", None) for action in ("PutKeyPolicy", "DisableKey", "ScheduleKeyDeletion", "TagResource")
)
# Calls that a key's policy must never allow, because the platform never makes them, makes them only on the other key,
# or makes them only through a service. `None` in place of a service means a direct call.
_NEVER: Final[dict[KeyPurpose, tuple[tuple[str, str | None], ...]]] = {
    KeyPurpose.S3: (
        *_ADMINISTRATION,
        ("kms:CreateGrant", None),
        ("kms:CreateGrant", "rds"),
        ("kms:DescribeKey", "rds"),
    ),
    KeyPurpose.RDS: (
        *_ADMINISTRATION,
        *(
            (f"kms:{action}", service)
            for action in ("Decrypt", "GenerateDataKey", "Encrypt")
            for service in (None, "rds", "s3")
        ),
    ),
}


ENCRYPTION_CONTEXT_ACTIONS: Final = frozenset(
    f"kms:{name}"
    for name in (
        *("CreateGrant", "Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
        *("ReEncryptFrom", "ReEncryptTo"),
    )
)
"""The actions whose calls can have an encryption context (KMS developer guide, "kms:EncryptionContext:context-key")."""

UNKNOWN_PART: Final = "…"
"""The placeholder for an unknown part of a context value. The placeholder stands for at least one character."""


@dataclass(frozen=True)
class PlatformPrincipal:
    """The platform role, and the Region and the key of an environment.

    Attributes:
        role_arn: The ARN of the platform role.
        region: The environment's Region.
        key_arn: The key's ARN, or None if only the key's policy is known.
        at: The time of the calls, used to evaluate date conditions; None leaves these conditions undecided.
        organisation: The organisation that owns the environment; None for the vendor.
    """

    role_arn: str
    region: str
    key_arn: str | None = None
    at: datetime | None = None
    organisation: str | None = None

    @property
    def account(self) -> str:
        """The platform's account."""
        return account_id_of_role(self.role_arn)

    @property
    def caller(self) -> CallingPrincipal:
        """A session of the platform role, with a name that no real session can have.

        Only a policy that allows every session of the role allows this session.
        """
        return _session(self.role_arn)

    def access_requests_for(self, call: PlatformCall, vendor: VendorProfile) -> tuple[AccessRequest, ...]:
        """Return the requests that KMS receives when the platform makes a call: one for each encryption context.

        For a bucket with a Bucket Key, such as an environment's bucket (D13), S3 sends the bucket's ARN as the
        encryption context. For a bucket without a Bucket Key, such as the probe bucket, S3 sends the object's ARN (S3
        user guide, "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys").
        """
        access = self._access(self.caller, call.action, call.service, self.region, for_resource=call.for_aws_resource)
        tag = vendor.session_organisation(self.organisation)
        if tag is not None:
            access = _with_organisation(access, tag)
        if call.service != "s3" or call.action not in ENCRYPTION_CONTEXT_ACTIONS:
            return (access,)
        bucket = f"arn:{partition_of_region(self.region)}:s3:::{vendor.resource_prefix}-{UNKNOWN_PART}"
        return tuple(
            replace(access, context={**access.context, "kms:EncryptionContext:aws:s3:arn": arn})
            for arn in (f"{bucket}/{UNKNOWN_PART}", bucket)
        )

    def forbidden_access_requests(
        self, which: KeyPurpose, vendor: VendorProfile
    ) -> Iterator[tuple[str, AccessRequest]]:
        """Yield calls that the policy must deny, each with a description of the access that the policy must not grant.

        Contract 74-79 requires the policy to deny these calls. If the vendor profile turns on session tags, the policy
        must also deny every session that acts for another organisation.
        """
        tag = vendor.session_organisation(self.organisation)
        for meaning, access in self._forbidden_access_requests(which):
            yield meaning, access if tag is None else _with_organisation(access, tag)
        if tag is not None:
            for call in CALLS_BY_PURPOSE[which]:
                own, action, service = call.for_aws_resource, call.action, call.service
                access = self._access(self.caller, action, service, self.region, for_resource=own)
                meaning = f"the platform may call {action} for every organisation, not only for {tag}"
                yield meaning, _with_organisation(access, _other_organisation(tag))

    def _forbidden_access_requests(self, which: KeyPurpose) -> Iterator[tuple[str, AccessRequest]]:
        name = self.role_arn.rpartition("/")[2]
        other = _session(f"{self.role_arn.removesuffix(name)}SomeOtherRole")
        stranger = _session(f"arn:{partition_of_region(self.region)}:iam::{_nobody(self.account)}:role/{name}")
        elsewhere = "eu-west-1" if self.region != "eu-west-1" else "eu-west-2"
        for call in CALLS_BY_PURPOSE[which]:
            own, action, service = call.for_aws_resource, call.action, call.service.upper()
            yield (
                f"the platform may call {action} directly, not only through {service}",
                self._access(self.caller, action, None, self.region, for_resource=False),
            )
            yield (
                f"the platform may call {action} through {service} in another Region",
                self._access(self.caller, action, call.service, elsewhere, for_resource=own),
            )
            yield (
                f"the platform may call {action} through services other than {service}",
                self._access(self.caller, action, "ec2", self.region, for_resource=own),
            )
            for caller, whose in ((other, "another role in the platform's account"), (stranger, "another account")):
                yield (
                    f"{whose} may call {action}",
                    self._access(caller, action, call.service, self.region, for_resource=own),
                )
            if own:
                yield (
                    f"the platform may call {action} for grants that are not for AWS resources",
                    self._access(self.caller, action, call.service, self.region, for_resource=False),
                )
        for action, through in _NEVER[which]:
            how = f"through {through.upper()}" if through else "directly"
            yield (
                f"the platform may call {action} {how}, which it never needs on this key",
                self._access(self.caller, action, through, self.region, for_resource=through == "rds"),
            )

    def _access(
        self, caller: CallingPrincipal, action: str, service: str | None, region: str, *, for_resource: bool
    ) -> AccessRequest:
        context: dict[str, str | list[str]] = {
            "aws:PrincipalAccount": caller.account,
            "aws:PrincipalArn": caller.role_arn or caller.arn,
            "aws:PrincipalType": "AssumedRole",
            "kms:CallerAccount": caller.account,
        }
        if self.at is not None:
            context["aws:CurrentTime"] = f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
            context["aws:EpochTime"] = str(int(self.at.timestamp()))
        if service is not None:
            context["kms:ViaService"] = via_service_value(service, region)
            context["aws:ViaAWSService"] = "true"  # set in every forward access session (IAM user guide)
        if for_resource:
            context["kms:GrantIsForAWSResource"] = "true"
        place = f"arn:{partition_of_region(self.region)}:kms:{self.region}:000000000000:key/"
        return AccessRequest(caller, action, self.key_arn or f"{place}00000000-0000-0000-0000-000000000000", context)


KNOWN_CONDITION_KEYS: Final = frozenset(
    {"aws:sourceaccount", "aws:sourcearn", "kms:grantisforawsresource", "kms:viaservice", "sts:externalid"}
)
"""The condition keys, in lower case, that are absent from a call unless `PlatformPrincipal` sets them. byok does not
know whether a call has any other condition key. `aws:SourceArn` and `aws:SourceAccount` are present only in calls that
a service makes with its own identity (IAM user guide, "Global condition context keys")."""


def _session(role_arn: str) -> CallingPrincipal:
    _, partition, _, _, account, resource = role_arn.split(":", 5)
    name = resource.rpartition("/")[2]
    return CallingPrincipal(f"arn:{partition}:sts::{account}:assumed-role/{name}/any session", account, role_arn)


def _with_organisation(access: AccessRequest, organisation: str) -> AccessRequest:
    return replace(access, context={**access.context, ORGANISATION_CONDITION_KEY: organisation})


def _other_organisation(organisation: str) -> str:
    return "another" if organisation != "another" else "other"


def _nobody(account: str) -> str:
    return "999999999999" if account != "999999999999" else "888888888888"
