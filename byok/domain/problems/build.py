"""Builds a `Problem` from an AWS error or from a violated rule, with the remedy filled in."""

import contextlib
from dataclasses import replace
from datetime import datetime

from byok.domain.arns import (
    InvalidKeyArnError,
    KeyArnFinding,
    KeyPair,
    KeyPurpose,
    account_id_of_role,
    check_key_arns,
    parse_key_arn,
    partition_of_region,
)
from byok.domain.models import Problem
from byok.domain.phases import Phase
from byok.domain.problems.remediation import Remedy, RemedyContext, build_arn_remediation, build_remediation
from byok.domain.tenant import InvalidTenantNameError, require_valid_tenant_name


def build_problem(
    code: str,
    message: str,
    remedy: Remedy,
    context: RemedyContext,
    *,
    phase: Phase,
    at: datetime,
    operation: str | None = None,
    request_id: str | None = None,
) -> Problem:
    """Build the problem for an AWS error.

    Args:
        code: `service.WireCode`.
        message: AWS's message, unchanged.
        remedy: The remedy of the matching error rule.
        context: The values for the remedy; it includes a key only if a customer's key is affected.
        phase: The phase in which the error occurred.
        at: When AWS returned the error.
        operation: The operation that failed.
        request_id: AWS's request id.
    """
    return Problem(
        code=code,
        message=message,
        operation=operation,
        key=context.key,
        key_arn=context.key_arn,
        phase=phase,
        request_id=request_id,
        region=context.region,
        at=at,
        remediation=build_remediation(remedy, context),
    )


def find_arn_problems(keys: KeyPair, context: RemedyContext, at: datetime) -> tuple[Problem, ...]:
    """Apply the pure rules to two ARNs and return all problems of both keys (contract 7).

    Args:
        keys: The two ARNs.
        context: Role, Region, vendor and request; without a role, the rules that depend on it are skipped.
        at: The time recorded in the problems.
    """
    role = context.platform_role_arn
    findings = check_key_arns(keys, context.region, account_id_of_role(role) if role else None)
    return tuple(_arn_problem(finding, context, at) for finding in findings)


def find_tenant_request_problems(
    tenant: str,
    tenant_role_arn: str | None,
    s3_key_arn: str,
    context: RemedyContext,
    at: datetime,
) -> tuple[Problem, ...]:
    """Apply the pure rules to a tenant name and to the role that puts it on the keys (contract 105, D11).

    Args:
        tenant: The name.
        tenant_role_arn: The role in the customer's account, or None if the customer runs the commands.
        s3_key_arn: The role must be in this key's account.
        context: Role, Region, vendor and request.
        at: The time recorded in the problems.
    """
    found: list[tuple[str, str, Remedy]] = []
    try:
        require_valid_tenant_name(tenant, context.vendor)
    except InvalidTenantNameError as error:
        found.append(("tenant.IllegalName", str(error), Remedy.TENANT_NAME))
    partition = partition_of_region(context.region)
    if tenant_role_arn is not None and tenant_role_arn.split(":")[1] != partition:
        message = f"{tenant_role_arn} is not a role in partition {partition}, which {context.region} belongs to."
        found.append(("tenant.RoleOfAnotherPartition", message, Remedy.TENANT_ROLE))
    with contextlib.suppress(InvalidKeyArnError):  # reported as a separate finding
        owner = parse_key_arn(s3_key_arn).account
        if tenant_role_arn is not None and account_id_of_role(tenant_role_arn) != owner:
            message = (
                f"{tenant_role_arn} is not in account {owner}, which owns the keys. KMS lets only roles in that "
                "account create aliases and tags for them."
            )
            found.append(("tenant.RoleOfAnotherAccount", message, Remedy.TENANT_ROLE))
    return tuple(
        build_problem(code, message, remedy, context, phase=Phase.VALIDATING_KEYS, at=at)
        for code, message, remedy in found
    )


def _arn_problem(finding: KeyArnFinding, context: RemedyContext, at: datetime) -> Problem:
    which: KeyPurpose = finding.which
    context = replace(context, key=which, key_arn=finding.arn)
    return Problem(
        code=finding.fault.value,
        message=finding.message,
        key=which,
        key_arn=finding.arn,
        phase=Phase.VALIDATING_KEYS,
        region=context.region,
        at=at,
        remediation=build_arn_remediation(finding.fault, context),
    )
