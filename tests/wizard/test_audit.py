"""The audit trail records every form that a user submits in the wizard, even a refused form (contract 147)."""

from byok.audit.journal import AuditJournal
from byok.audit.record import AuditAction, AuditOutcome, RecordKind
from byok.domain.models import EntryPoint
from byok.service.environments import EnvironmentService
from tests.api.test_access import TOKEN, build_static_auth
from tests.audit_journal import read_journal
from tests.wizard.conftest import DRAFT, Browser, Open
from tests.wizard.test_visits import ALL, sign_in
from tests.workflows.watching import wait_until_ended

ACCEPTED, REFUSED = AuditOutcome.ACCEPTED, AuditOutcome.REFUSED


def outcomes(journal: AuditJournal) -> list[tuple[AuditAction, AuditOutcome | None, str | None]]:
    """Return the action, the outcome and the code of each outcome record."""
    found = read_journal(journal.directory)
    return [(one.action, one.outcome, one.code) for one in found if one.kind is RecordKind.OUTCOME]


async def test_sign_in_and_sign_out_are_recorded_without_the_token(visit: Open, journal: AuditJournal) -> None:
    browser = await sign_in(visit)
    await browser.submit_form("/sign-out", {})
    await browser.submit_form("/sign-in", {"token": "wrong-token"})

    assert outcomes(journal) == [
        (AuditAction.SIGN_IN, ACCEPTED, None),
        (AuditAction.SIGN_OUT, ACCEPTED, None),
        (AuditAction.SIGN_IN, REFUSED, "byok.Unauthenticated"),
    ]
    found = read_journal(journal.directory)
    assert [one.requester.organisation for one in found] == ["acme"] * 4 + [None]
    text = "".join(one.model_dump_json() for one in found)
    assert not {token for token in (TOKEN, "wrong-token") if token in text}


async def test_created_and_retried_environments_are_recorded(
    browser: Browser, service: EnvironmentService, journal: AuditJournal, environment_id: str
) -> None:
    draft = DRAFT | {"name": environment_id}
    await browser.open_page("/new/review", **draft)
    token = browser.form_token
    await browser.submit_form("/new/review", {**draft, "confirmed": "yes"})
    await wait_until_ended(service, environment_id)
    await browser.submit_form(f"/environments/{environment_id}", {}, form_token=token)

    create, replay = AuditAction.CREATE_ENVIRONMENT, AuditAction.REPLAY_ENVIRONMENT
    assert outcomes(journal) == [(create, ACCEPTED, None), (replay, REFUSED, "byok.NotReplayable")]
    first = read_journal(journal.directory)[0]
    assert (first.kind, first.requester.via) == (RecordKind.INTENT, EntryPoint.WIZARD)
    assert first.target.environment_id == environment_id


async def test_forms_without_a_session_or_a_form_token_are_recorded_as_refused(
    visit: Open, journal: AuditJournal
) -> None:
    stranger: Browser = await visit(build_static_auth("acme", *ALL))
    await stranger.http.post("/new/review", data=DRAFT)
    user = await sign_in(visit)
    await user.submit_form("/new/review", DRAFT, form_token="of another session")

    create = AuditAction.CREATE_ENVIRONMENT
    assert outcomes(journal) == [
        (create, REFUSED, "byok.Unauthenticated"),
        (AuditAction.SIGN_IN, ACCEPTED, None),
        (create, REFUSED, "byok.ForeignForm"),
    ]


async def test_form_that_is_shown_again_leaves_no_record(browser: Browser, journal: AuditJournal) -> None:
    await browser.open_page("/new/review", **DRAFT)
    await browser.submit_form("/new/review", DRAFT)

    assert "Select the checkbox" in browser.text
    assert read_journal(journal.directory) == []
