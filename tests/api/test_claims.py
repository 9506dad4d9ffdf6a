"""Only the vendor's staff can list claims; requests for a Region that is not in use are refused."""

import uuid
from datetime import UTC, datetime

import pytest

from byok.domain.models import KeyClaim
from tests.api.conftest import ApiClient, Serve, build_create_body
from tests.api.test_access import TOKEN, build_static_auth
from tests.workflows.fake_activities import RDS_KEY, REGION, S3_KEY
from tests.workflows.temporal_env import WorkflowHarness


def build_claim(environment_id: str) -> KeyClaim:
    account, _, key_id = S3_KEY.split(":")[4], None, S3_KEY.rpartition("/")[2]
    return KeyClaim(
        account=account,
        key_id=key_id,
        key_arn=S3_KEY,
        environment_id=environment_id,
        claimed_at=datetime.now(UTC),
    )


async def test_staff_sees_which_environment_holds_which_key(serve: Serve, harness: WorkflowHarness) -> None:
    name = f"globex-{uuid.uuid4().hex[:8]}"
    harness.activities.claims = [build_claim(name)]
    portal = await serve(build_static_auth("*", "environments:read"), token=TOKEN)

    answer = await portal.http.get("/v1/claims", params={"size": 7, "account": "444455556666"})

    assert answer.status_code == 200, answer.text
    (claim,) = answer.json()["claims"]
    assert (answer.status_code, claim["environment_id"], claim["key_arn"]) == (200, name, S3_KEY)
    assert (claim["state"], claim["phase"]) == ("left over", None)
    assert name in claim["advice"]  # contract 138


async def test_organisation_does_not_see_claims(serve: Serve, harness: WorkflowHarness) -> None:
    harness.activities.claims = [build_claim("globex-prod")]
    portal = await serve(build_static_auth("acme", "environments:read"), token=TOKEN)

    answer = await portal.http.get("/v1/claims")

    assert (answer.status_code, answer.json()["code"]) == (403, "byok.Forbidden")
    assert "globex" not in answer.text


@pytest.mark.parametrize("wrong", [{"account": "acme"}, {"size": 101}, {"after": "../secrets"}])
async def test_invalid_page_of_claims_is_refused(portal: ApiClient, wrong: dict[str, str]) -> None:
    answer = await portal.http.get("/v1/claims", params=wrong)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, next(iter(wrong)))


async def test_region_that_is_not_in_use_is_refused_and_the_regions_in_use_are_named(portal: ApiClient) -> None:
    keys = {"region": "eu-north-1", "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
    created = await portal.http.post("/v1/environments", json=build_create_body("acme", region="eu-north-1"))
    checked = await portal.http.post("/v1/key-checks", json=keys)
    for answer in (created, checked):
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "region")
        assert f"{REGION}, us-west-2 (BYOK_REGIONS)" in answer.json()["detail"]
