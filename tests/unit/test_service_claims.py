"""The list of claims states what each claim means and what to do about it (contract 138)."""

from datetime import UTC, datetime

import pytest

from byok.domain.models import KeyClaim, ListClaimsRequest
from byok.domain.phases import Phase
from byok.service.claims import ClaimState
from byok.service.environments import EnvironmentService
from byok.service.errors import ClaimsUnavailableError
from tests.workflows.fake_activities import REGION, build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness

ACCOUNT = "444455556666"


def build_claim(environment_id: str, number: int = 1, *, exists: bool = False, used: bool = False) -> KeyClaim:
    key_id = f"{number:08}-1111-4111-8111-111111111111"
    return KeyClaim(
        account=ACCOUNT,
        key_id=key_id,
        key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key_id}",
        environment_id=environment_id,
        claimed_at=datetime.now(UTC),
        exists=exists,
        used=used,
    )


@pytest.mark.parametrize(
    ("exists", "used", "state", "advice"),
    [
        (True, True, ClaimState.IN_USE, "Nothing to do"),
        (True, False, ClaimState.UNUSED, "or delete {name} to release the key"),
        (False, False, ClaimState.LEFT_OVER, f"To release the claim, delete {{name}} (Region {REGION})"),
    ],
)
async def test_claim_of_an_environment_that_temporal_does_not_know(
    service: EnvironmentService,
    harness: WorkflowHarness,
    environment_id: str,
    exists: bool,
    used: bool,
    state: ClaimState,
    advice: str,
) -> None:
    harness.activities.claims = [build_claim(environment_id, exists=exists, used=used)]

    (claim,) = (await service.list_claims(ListClaimsRequest(size=1))).claims

    assert (claim.state, claim.phase, claim.exists) == (state, None, exists)
    assert advice.format(name=environment_id) in claim.advice


async def test_claim_of_an_environment_in_progress_is_pending(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.claims = [build_claim(environment_id)]
    await EnvironmentService(harness.client, "no-worker").create(build_provision_request(environment_id))

    (claim,) = (await service.list_claims(ListClaimsRequest(size=2))).claims

    assert (claim.state, claim.phase) == (ClaimState.PENDING, Phase.VALIDATING_KEYS)
    await harness.client.get_workflow_handle(f"environment/{environment_id}").terminate()


async def test_pages_follow_each_other(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.claims = [build_claim(environment_id, number) for number in range(3)]

    first = await service.list_claims(ListClaimsRequest(size=2))
    second = await service.list_claims(ListClaimsRequest(size=2, after=first.after))

    assert [one.key_arn[-36:-28] for page in (first, second) for one in page.claims] == [
        *("00000000", "00000001", "00000002"),
    ]
    assert second.after is None


async def test_error_of_aws_is_reported(service: EnvironmentService, harness: WorkflowHarness) -> None:
    denied = build_aws_failure("s3", "AccessDenied", "not authorized to perform: s3:ListBucket", Phase.VALIDATING_KEYS)
    harness.activities.script["list_key_claims"] = [denied]

    with pytest.raises(ClaimsUnavailableError, match="s3:ListBucket"):
        await service.list_claims(ListClaimsRequest(size=3))
