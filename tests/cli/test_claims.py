"""`byok claims` lists the claimed keys, the environment that claims each key, and advice on each claim."""

from datetime import UTC, datetime

from byok.domain.models import ListClaimsRequest
from byok.service.claims import ClaimPage, ClaimState, ExplainedClaim
from byok.service.errors import ClaimsUnavailableError
from tests.cli.conftest import Run
from tests.cli.fakes import RDS_KEY, S3_KEY, FakeService

ADVICE = "Nothing of acme exists in AWS. Delete acme."


def build_claim(key_arn: str, state: ClaimState = ClaimState.LEFT_OVER) -> ExplainedClaim:
    return ExplainedClaim(
        account="444455556666",
        key_arn=key_arn,
        environment_id="acme",
        claimed_at=datetime.now(UTC),
        state=state,
        phase=None,
        exists=False,
        advice=ADVICE,
    )


def test_claims_are_shown_with_their_state_and_advice(run: Run, service: FakeService) -> None:
    service.claim_pages = [ClaimPage(claims=(build_claim(S3_KEY),))]
    ended = run("claims", "--account", "444455556666")
    assert (ended.code, ended.out) == (0, f"{S3_KEY}  left over\n  {ADVICE}\n")
    assert service.claim_requests == [ListClaimsRequest(account="444455556666", size=100)]


def test_all_pages_are_read_up_to_the_limit(run: Run, service: FakeService) -> None:
    after = "444455556666/1"
    pages = [ClaimPage(claims=(build_claim(S3_KEY),), after=after), ClaimPage(claims=(build_claim(RDS_KEY),))]
    service.claim_pages = list(pages)
    assert [one["key_arn"] for one in run("claims", "-o", "json").json] == [S3_KEY, RDS_KEY]
    assert [one.after for one in service.claim_requests] == [None, after]
    service.claim_pages = list(pages)
    assert len(run("claims", "--limit", "1", "-o", "json").json) == 1


def test_no_claims_are_said_to_be_none(run: Run, service: FakeService) -> None:
    service.claim_pages = [ClaimPage(claims=())] * 2
    assert run("claims").err == "No environment has claimed a key.\n"
    assert run("claims", "-o", "json").json == []


def test_claims_that_cannot_be_listed_are_an_error(run: Run, service: FakeService) -> None:
    service.refuse = ClaimsUnavailableError("The claims cannot be listed: not authorized")
    ended = run("claims", "-o", "json")
    assert (ended.code, ended.json["error"]["code"]) == (1, "byok.ClaimsUnavailable")


def test_wrong_account_is_refused(run: Run, service: FakeService) -> None:
    ended = run("claims", "--account", "acme")
    assert (ended.code, "--account" in ended.err, service.claim_requests) == (2, True, [])
