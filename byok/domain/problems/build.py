"""Builds a `Problem` for an AWS error or for a violation of a rule. The problem includes the complete remedy."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

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
from byok.domain.regions import RegionNotInUseError, require_region_in_use
from byok.domain.tenant import InvalidTenantNameError, require_valid_tenant_name

REGION_NOT_IN_USE_CODE: Final = "byok.RegionNotInUse"
"""The problem code for a Region that the platform does not use. byok must not make AWS calls in that Region."""

KEYS_EXCHANGED_CODE: Final = "byok.KeysExchanged"
"""The problem code for two swapped ARNs."""


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
    """Build the problem for an error that AWS returned or that byok detected.

    Args:
        code: `<service>.<error code>`.
        message: AWS's message, unchanged, or byok's message.
        remedy: The remedy for the error.
        context: The values to insert into the remedy. The values include a key only if a customer's key is affected.
        phase: The phase in which the error occurred.
        at: When the error occurred.
        operation: The AWS operation that failed, if any.
        request_id: The request id that AWS returned, if any.
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
    """Check two ARNs without calling AWS, and return all problems with both keys (contract 7).

    Args:
        keys: The two ARNs.
        context: Role, Region, vendor and request kind. Without a role, the rules that depend on a role are skipped.
        at: The time to record in the problems.
    """
    role = context.platform_role_arn
    findings = check_key_arns(keys, context.region, account_id_of_role(role) if role else None)
    return tuple(_arn_problem(finding, context, at) for finding in findings)


def find_region_problems(
    context: RemedyContext, regions: Sequence[str], phase: Phase, at: datetime
) -> tuple[Problem, ...]:
    """Return a problem if the platform does not use the Region in a request.

    Args:
        context: The Region, and the other values to insert into the remedy.
        regions: The Regions in use.
        phase: The phase in which the request stops.
        at: The time to record in the problem.
    """
    try:
        require_region_in_use(context.region, regions)
    except RegionNotInUseError as error:
        return (
            build_problem(REGION_NOT_IN_USE_CODE, str(error), Remedy.REGION_NOT_IN_USE, context, phase=phase, at=at),
        )
    return ()


def find_tenant_request_problems(
    tenant: str,
    tenant_role_arn: str | None,
    keys: KeyPair | None,
    context: RemedyContext,
    at: datetime,
) -> tuple[Problem, ...]:
    """Check a tenant name, and the role that sets it on the keys, against byok's validation rules (contract 105, D11).

    The validation rules do not require an AWS call.

    Args:
        tenant: The name.
        tenant_role_arn: The role in the customer's account, or None if the customer runs the commands.
        keys: The customer's keys, whose account must contain the role; None if the keys are platform-managed.
        context: Role, Region, vendor and request kind.
        at: The time to record in the problems.
    """
    found: list[tuple[str, str, Remedy]] = []
    try:
        require_valid_tenant_name(tenant, context.vendor)
    except InvalidTenantNameError as error:
        found.append(("tenant.IllegalName", str(error), Remedy.TENANT_NAME))
    partition = partition_of_region(context.region)
    if tenant_role_arn is not None and tenant_role_arn.split(":")[1] != partition:
        message = (
            f"{tenant_role_arn} is not a role in partition {partition}, which is the partition of {context.region}."
        )
        found.append(("tenant.RoleOfAnotherPartition", message, Remedy.TENANT_ROLE))
    with contextlib.suppress(InvalidKeyArnError):  # `find_arn_problems` reports an invalid ARN
        owner = parse_key_arn(keys.s3_key_arn).account if keys is not None else None
        if owner is not None and tenant_role_arn is not None and account_id_of_role(tenant_role_arn) != owner:
            message = (
                f"{tenant_role_arn} is not in account {owner}, which owns the keys. Only roles in that "
                "account can create the keys' aliases and tags."
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
