"""Lists the claims on keys, and explains what each claim means and what to do about the claim (contract 138)."""

import asyncio
from datetime import datetime
from enum import StrEnum

from temporalio.client import WorkflowFailureError

from byok import contracts
from byok.domain.arns import parse_key_arn
from byok.domain.models import KeyClaim, KeyClaimPage, ListClaimsRequest, RecordModel
from byok.domain.phases import Phase
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import ClaimsUnavailableError, EnvironmentNotFoundError
from byok.service.short_workflows import explain_failure, run_short_workflow
from byok.service.temporal_errors import translate_temporal_errors


class ClaimState(StrEnum):
    """The state of a claim, according to Temporal and AWS."""

    IN_USE = "in use"
    PENDING = "pending"
    UNUSED = "unused"
    LEFT_OVER = "left over"


class ExplainedClaim(RecordModel):
    """A claim on a key, and what to do about the claim.

    Attributes:
        account: The account that owns the key.
        key_arn: The ARN with which the key was claimed. A claim on a multi-Region key applies to all its replicas.
        environment_id: The environment that holds the claim.
        phase: The environment's phase in Temporal; None if Temporal does not know the environment.
        exists: Whether AWS lists a resource of the environment.
        advice: What the claim means, and what to do.
    """

    account: str
    key_arn: str
    environment_id: str
    claimed_at: datetime
    state: ClaimState
    phase: Phase | None
    exists: bool
    advice: str


class ClaimPage(RecordModel):
    """A page of explained claims.

    Attributes:
        after: Where the next page begins; None after the last page.
    """

    claims: tuple[ExplainedClaim, ...]
    after: str | None = None


async def list_claims(reader: EnvironmentReader, task_queue: str, request: ListClaimsRequest) -> ClaimPage:
    """Return a page of claims. See `EnvironmentService.list_claims`."""
    with translate_temporal_errors():
        try:
            page = await run_short_workflow(
                reader,
                task_queue,
                contracts.LIST_KEY_CLAIMS_WORKFLOW,
                request,
                contracts.claims_workflow_id(request),
                KeyClaimPage,
                "The list of claims was requested",
            )
        except WorkflowFailureError as error:
            raise ClaimsUnavailableError(f"The claims cannot be listed: {explain_failure(error)}") from error
    names = sorted({claim.environment_id for claim in page.claims})
    phases = dict(zip(names, await asyncio.gather(*(_read_phase(reader, name) for name in names)), strict=True))
    return ClaimPage(claims=tuple(_explain(one, phases[one.environment_id]) for one in page.claims), after=page.after)


async def _read_phase(reader: EnvironmentReader, environment_id: str) -> Phase | None:
    try:
        return (await reader.read_status(environment_id)).phase
    except EnvironmentNotFoundError:
        return None


def _explain(claim: KeyClaim, phase: Phase | None) -> ExplainedClaim:
    state = _find_state(claim, phase)
    region = parse_key_arn(claim.key_arn).region
    return ExplainedClaim(
        account=claim.account,
        key_arn=claim.key_arn,
        environment_id=claim.environment_id,
        claimed_at=claim.claimed_at,
        state=state,
        phase=phase,
        exists=claim.exists,
        advice=_ADVICE[state].format(name=claim.environment_id, region=region, phase=phase or "unknown to Temporal"),
    )


def _find_state(claim: KeyClaim, phase: Phase | None) -> ClaimState:
    if claim.used:
        return ClaimState.IN_USE
    if phase is not None and not phase.is_final:
        return ClaimState.PENDING
    return ClaimState.UNUSED if claim.exists else ClaimState.LEFT_OVER


_ADVICE = {
    ClaimState.IN_USE: "The key encrypts resources of {name}. Nothing to do.",
    ClaimState.PENDING: (
        "{name} is {phase}. Nothing to do: byok will release the claim if no resource of {name} is encrypted with the "
        "key when this operation ends."
    ),
    ClaimState.UNUSED: (
        "{name} has resources, but none of them are encrypted with the key. Replay {name} to use the key, or delete "
        "{name} to release the key."
    ),
    ClaimState.LEFT_OVER: (
        "{name} has no resources in AWS and is {phase}. To release the claim, delete {name} (Region {region})."
    ),
}
