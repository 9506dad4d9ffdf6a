"""Makes a `Problem` from what AWS said or from what a pure rule found, with the remedy filled in."""

import contextlib
from dataclasses import replace
from datetime import datetime

from byok.domain.arns import (
    ArnError,
    ArnFinding,
    KeyPurpose,
    account_of,
    check_key_arns,
    parse_key_arn,
    partition_of,
)
from byok.domain.models import Problem
from byok.domain.phases import Phase, RequestKind
from byok.domain.problems.remediation import Remedy, RemedyContext, arn_remediation, remediation
from byok.domain.tenant import TenantNameError, check_tenant_name
from byok.domain.vendor import VendorProfile


def problem(
    code: str,
    message: str,
    remedy: Remedy,
    subject: RemedyContext,
    *,
    phase: Phase,
    at: datetime,
    operation: str | None = None,
    request_id: str | None = None,
) -> Problem:
    """A problem that came up while AWS was being asked.

    Args:
        code: `service.WireCode`.
        message: As AWS sent it.
        remedy: The row's remedy.
        subject: Whom it is about; with a key only where a customer's key is at fault.
        phase: Where the provisioning was.
        at: When AWS answered.
        operation: The operation that was refused.
        request_id: AWS's request id.
    """
    return Problem(
        code=code,
        message=message,
        operation=operation,
        key=subject.key,
        key_arn=subject.key_arn,
        phase=phase,
        request_id=request_id,
        region=subject.region,
        at=at,
        remediation=remediation(remedy, subject),
    )


def arn_problems(
    s3_key_arn: str,
    rds_key_arn: str,
    region: str,
    *,
    platform_account: str | None,
    platform_role_arn: str | None,
    vendor: VendorProfile,
    at: datetime,
    request_kind: RequestKind = RequestKind.ENVIRONMENT,
) -> tuple[Problem, ...]:
    """What the pure rules say about two ARNs, as problems: all of them, of both keys (contract 7)."""
    findings = check_key_arns(s3_key_arn, rds_key_arn, region, platform_account)
    subject = RemedyContext(region, platform_role_arn, vendor, request_kind=request_kind)
    return tuple(_arn_problem(finding, subject, at) for finding in findings)


def tenant_problems(
    tenant: str,
    tenant_role_arn: str | None,
    s3_key_arn: str,
    region: str,
    *,
    platform_role_arn: str | None,
    vendor: VendorProfile,
    at: datetime,
    request_kind: RequestKind = RequestKind.ENVIRONMENT,
) -> tuple[Problem, ...]:
    """What the pure rules say about a tenant's name and the role that is to write it (contract 105, D11)."""
    subject = RemedyContext(region, platform_role_arn, vendor, request_kind=request_kind)
    found: list[tuple[str, str, Remedy]] = []
    try:
        check_tenant_name(tenant, vendor)
    except TenantNameError as error:
        found.append(("tenant.IllegalName", str(error), Remedy.TENANT_NAME))
    partition = partition_of(region)
    if tenant_role_arn is not None and tenant_role_arn.split(":")[1] != partition:
        message = f"{tenant_role_arn} is not a role of partition {partition}, which {region} belongs to."
        found.append(("tenant.RoleOfAnotherPartition", message, Remedy.TENANT_ROLE))
    with contextlib.suppress(ArnError):  # told as a finding of its own
        owner = parse_key_arn(s3_key_arn).account
        if tenant_role_arn is not None and account_of(tenant_role_arn) != owner:
            message = (
                f"{tenant_role_arn} is not in account {owner}, which owns the keys: KMS lets nobody else name them."
            )
            found.append(("tenant.RoleOfAnotherAccount", message, Remedy.TENANT_ROLE))
    return tuple(
        problem(code, message, remedy, subject, phase=Phase.VALIDATING_KEYS, at=at) for code, message, remedy in found
    )


def _arn_problem(finding: ArnFinding, subject: RemedyContext, at: datetime) -> Problem:
    which: KeyPurpose = finding.which
    subject = replace(subject, key=which, key_arn=finding.arn)
    return Problem(
        code=finding.fault.value,
        message=finding.message,
        key=which,
        key_arn=finding.arn,
        phase=Phase.VALIDATING_KEYS,
        region=subject.region,
        at=at,
        remediation=arn_remediation(finding.fault, subject),
    )
