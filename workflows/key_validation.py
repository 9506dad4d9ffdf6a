"""Validates two keys, for a key check or for provisioning: applies the pure rules first, then probes the S3 key."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.keys import KeyActivities
    from byok.domain.arns import KeyPurpose
    from byok.domain.models import CheckKeysRequest, KeyCheckPlan, KeyProbeResult, Problem
    from byok.domain.phases import Phase
from workflows.activity_options import PROBE_OPTIONS, with_summary
from workflows.cancellation import shield_until_done
from workflows.failures import extract_problem, is_cancellation


async def validate_keys(
    request: CheckKeysRequest, plan: KeyCheckPlan
) -> tuple[tuple[Problem, ...], tuple[KeyProbeResult, ...]]:
    """Return all findings on both keys, not only the first one, and the proofs.

    Before any resource is created, only the S3 key can be proved to work. The platform may use a key only through S3
    and RDS, and RDS uses a key only for a cluster (D2).
    """
    findings = list(plan.findings)
    proofs: list[KeyProbeResult] = []
    if not any(finding.key is KeyPurpose.S3 for finding in findings):
        try:
            proofs.append(
                await shield_until_done(
                    workflow.start_activity_method(
                        KeyActivities.probe_s3_key,
                        plan.environment,
                        **with_summary(PROBE_OPTIONS, f"S3 key {plan.environment.s3_key_arn}"),
                    )
                )
            )
        except ActivityError as error:
            if is_cancellation(error):
                raise
            findings.append(extract_problem(error, request, Phase.VALIDATING_KEYS, workflow.now()))
    return tuple(findings), tuple(proofs)
