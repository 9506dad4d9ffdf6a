"""Makes a `Problem` from what AWS said or from what a pure rule found, with the remedy filled in."""

from datetime import datetime

from byok.domain.arns import ArnFinding, WhichKey, check_key_arns
from byok.domain.models import Problem
from byok.domain.remediation import Remedy, Subject, arn_remediation, remediation
from byok.domain.statuses import Phase
from byok.domain.vendor import VendorProfile


def problem(
    code: str,
    message: str,
    remedy: Remedy,
    subject: Subject,
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
) -> tuple[Problem, ...]:
    """What the pure rules say about two ARNs, as problems: all of them, of both keys (contract 7)."""
    findings = check_key_arns(s3_key_arn, rds_key_arn, region, platform_account)
    return tuple(_arn_problem(finding, region, platform_role_arn, vendor, at) for finding in findings)


def _arn_problem(
    finding: ArnFinding, region: str, platform_role_arn: str | None, vendor: VendorProfile, at: datetime
) -> Problem:
    which: WhichKey = finding.which
    subject = Subject(region, platform_role_arn, vendor, which, finding.arn)
    return Problem(
        code=finding.fault.value,
        message=finding.message,
        key=which,
        key_arn=finding.arn,
        phase=Phase.VALIDATING_KEYS,
        region=region,
        at=at,
        remediation=arn_remediation(finding.fault, subject),
    )
