"""Examines two keys, for a key check or for provisioning."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.workflow import ActivityConfig

with workflow.unsafe.imports_passed_through():
    from activities.accounts import AccountActivities
    from activities.aurora_proofs import AuroraProofActivities
    from activities.keys import KeyActivities
    from byok.domain.arns import KeyPurpose
    from byok.domain.models import (
        CheckedKey,
        CheckedKeys,
        CheckKeysRequest,
        Environment,
        KeyCheckPlan,
        KeyCheckResult,
        Problem,
        RegionRequest,
    )
    from byok.domain.phases import KeyVerdict, Phase
    from byok.domain.problems.build import KEYS_EXCHANGED_CODE, REGION_NOT_IN_USE_CODE
from workflows.activity_options import (
    AWAIT_PROOF_OPTIONS,
    CHECK_PROBE_OPTIONS,
    PROBE_OPTIONS,
    READ_OPTIONS,
    with_summary,
    without_hold,
)
from workflows.cancellation import shield_until_done
from workflows.failures import extract_problem, is_cancellation

_NOT_REQUESTED: Final = "The check was requested without a proof of the Aurora key, so RDS has not used the key."
_NOT_ALLOWED: Final = (
    "The platform's settings turn off the proof of Aurora keys. RDS first uses the key when it creates the "
    "environment's cluster, which is the first resource."
)


async def check_keys(
    request: CheckKeysRequest, plan: KeyCheckPlan, report: Callable[[CheckedKey], None]
) -> KeyCheckResult:
    """Return a verdict on each key, and every problem found (contract 126, 129).

    byok does not use a key that breaks a rule or that another environment has claimed.

    Args:
        request: The keys to check.
        plan: The plan of the check.
        report: Called with the verdict on each key, as soon as the verdict is known.
    """

    async def examine(verdict: Awaitable[CheckedKey]) -> CheckedKey:
        found = await verdict
        report(found)
        return found

    unregistered = await find_unregistered_accounts(request, plan.environment, without_hold(READ_OPTIONS))
    if unregistered:
        return _refuse_accounts(request, plan, unregistered)
    claimed = await _look_up_claims(request, plan)
    findings = (*plan.findings, *claimed)
    s3, rds = await asyncio.gather(
        examine(_examine_s3_key(request, plan, findings, CHECK_PROBE_OPTIONS)),
        examine(_examine_aurora_key(request, plan, findings, requested=request.prove_aurora_key)),
    )
    if s3.problem is not None and s3.problem.code == KEYS_EXCHANGED_CODE:
        arn = rds.key_arn
        told = s3.problem.model_copy(update={"key": KeyPurpose.RDS, "key_arn": arn})
        found: tuple[CheckedKey, ...] = (s3,)
        rds = CheckedKey.from_problem(KeyPurpose.RDS, arn, told)
    else:
        found = (s3, rds)
    others = tuple(one.problem for one in found if one.problem is not None and one.problem not in findings)
    return KeyCheckResult(region=request.region, keys=CheckedKeys(s3=s3, rds=rds), findings=findings + others)


async def validate_keys(request: RegionRequest, plan: KeyCheckPlan) -> tuple[Problem, ...]:
    """Return the problems that prevent provisioning with these keys; empty if provisioning can begin (contract 7).

    This function probes the S3 key. The Aurora key is usually proved later, when RDS creates the environment's cluster,
    which is the first resource. But if one key is refused, this function also examines the other key, so that the
    customer can fix both keys in one pass (contract 128). The platform's own keys are not checked in advance: they are
    first used when the first resources are created.
    """
    if not plan.environment.customer_keys:
        return plan.findings
    unregistered = await find_unregistered_accounts(request, plan.environment, READ_OPTIONS)
    if unregistered:
        return plan.findings + unregistered
    s3 = await _examine_s3_key(request, plan, plan.findings, PROBE_OPTIONS)
    findings = plan.findings
    if s3.problem is not None and s3.problem not in findings:
        findings += (s3.problem,)
    if not any(finding.key for finding in findings) or any(one.code == KEYS_EXCHANGED_CODE for one in findings):
        return findings
    findings += await _look_up_claims(request, plan)
    return findings + await examine_other_key(request, plan, findings)


async def examine_other_key(
    request: RegionRequest, plan: KeyCheckPlan, problems: Sequence[Problem]
) -> tuple[Problem, ...]:
    """Prove the Aurora key if only the S3 key is refused, and return the Aurora key's problem, if any (contract 128).

    Args:
        request: The request whose values appear in the reported problems.
        plan: The plan for checking the keys.
        problems: The problems that stop provisioning.
    """
    if KeyPurpose.S3 not in {problem.key for problem in problems}:
        return ()
    rds = await _examine_aurora_key(request, plan, problems, requested=True)
    return (rds.problem,) if rds.verdict is KeyVerdict.REFUSED and rds.problem not in problems and rds.problem else ()


async def find_unregistered_accounts(
    request: RegionRequest, environment: Environment, options: ActivityConfig
) -> tuple[Problem, ...]:
    """Return a problem for each key whose account is not registered for the environment's organisation (contract 146).

    If there is a problem, or if the accounts cannot be checked, byok does not use the keys and does not look up their
    claims. The results could reveal information about a key that does not belong to the organisation. An environment
    without an organisation belongs to the vendor, and byok does not check the accounts of the vendor's keys.
    """
    if environment.organisation is None or not environment.customer_keys:
        return ()
    try:
        found = await workflow.execute_activity_method(
            AccountActivities.find_unregistered_accounts, environment, **options
        )
    except ActivityError as error:
        if is_cancellation(error):
            raise
        return (extract_problem(error, request, Phase.VALIDATING_KEYS, workflow.now()),)
    return found.problems


def _refuse_accounts(request: RegionRequest, plan: KeyCheckPlan, unregistered: tuple[Problem, ...]) -> KeyCheckResult:
    findings = plan.findings + unregistered

    def verdict(which: KeyPurpose) -> CheckedKey:
        known = _known_verdict(which, plan, findings)
        reason = f"byok uses neither key: {unregistered[0].message}"
        return known or CheckedKey.not_proved(which, plan.environment.key_arn(which), reason)

    keys = CheckedKeys(s3=verdict(KeyPurpose.S3), rds=verdict(KeyPurpose.RDS))
    return KeyCheckResult(region=request.region, keys=keys, findings=findings)


async def _look_up_claims(request: RegionRequest, plan: KeyCheckPlan) -> tuple[Problem, ...]:
    """Return a problem for each key that another environment has claimed, or the problem that prevented the check."""
    try:
        conflicts = await workflow.execute_activity_method(
            KeyActivities.probe_key_claims, plan.environment, **without_hold(READ_OPTIONS)
        )
    except ActivityError as error:
        if is_cancellation(error):
            raise
        return (extract_problem(error, request, Phase.VALIDATING_KEYS, workflow.now()),)
    return conflicts.problems


async def _examine_s3_key(
    request: RegionRequest, plan: KeyCheckPlan, findings: Sequence[Problem], options: ActivityConfig
) -> CheckedKey:
    known = _known_verdict(KeyPurpose.S3, plan, findings)
    if known is not None:
        return known
    probe = workflow.start_activity_method(
        KeyActivities.probe_s3_key,
        plan.environment,
        **with_summary(options, f"S3 key {plan.environment.s3_key_arn}"),
    )
    return await _await_verdict(KeyPurpose.S3, request, plan, shield_until_done(probe))


async def _examine_aurora_key(
    request: RegionRequest, plan: KeyCheckPlan, findings: Sequence[Problem], *, requested: bool
) -> CheckedKey:
    known = _known_verdict(KeyPurpose.RDS, plan, findings)
    if known is not None:
        return known
    arn = plan.environment.rds_key_arn
    if not requested or not plan.allows_aurora_proof:
        return CheckedKey.not_proved(KeyPurpose.RDS, arn, _NOT_ALLOWED if requested else _NOT_REQUESTED)
    proof = workflow.execute_activity_method(
        AuroraProofActivities.await_aurora_proof,
        plan.environment,
        **with_summary(AWAIT_PROOF_OPTIONS, f"Aurora key {arn}"),
    )
    return await _await_verdict(KeyPurpose.RDS, request, plan, proof)


def _known_verdict(which: KeyPurpose, plan: KeyCheckPlan, findings: Sequence[Problem]) -> CheckedKey | None:
    """Return the verdict on a key that already has a problem, or None if the key must still be tested.

    If the platform does not use the Region, the check tests neither key.
    """
    problem = next(
        (finding for finding in findings if finding.key is which or finding.code == REGION_NOT_IN_USE_CODE), None
    )
    return None if problem is None else CheckedKey.from_problem(which, plan.environment.key_arn(which), problem)


async def _await_verdict(
    which: KeyPurpose, request: RegionRequest, plan: KeyCheckPlan, verdict: Awaitable[CheckedKey]
) -> CheckedKey:
    try:
        return await verdict
    except ActivityError as error:
        if is_cancellation(error):
            raise
        problem = extract_problem(error, request, Phase.VALIDATING_KEYS, workflow.now())
        return CheckedKey.from_problem(which, plan.environment.key_arn(which), problem)
