"""`byok accounts` registers, unregisters and lists AWS accounts (contract 146)."""

from datetime import UTC, datetime

import pytest

from byok.domain.models import AccountPage, AccountRegistration, AccountRequest, ListAccountsRequest
from byok.service.errors import AccountConflictError
from tests.cli.conftest import Run
from tests.cli.fakes import FakeService

ACCOUNT = "444455556666"
ACME = AccountRequest(organisation="acme", account=ACCOUNT)


def build_registration(account: str) -> AccountRegistration:
    return AccountRegistration(
        account=account, organisation="acme", registered_at=datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
    )


def test_account_is_registered(run: Run, service: FakeService) -> None:
    ended = run("accounts", "allow", "acme", ACCOUNT)
    assert (ended.code, ended.err) == (0, f"AWS account {ACCOUNT} is registered for acme.\n")
    assert service.account_requests == [ACME]


def test_account_of_another_organisation_is_an_error(run: Run, service: FakeService) -> None:
    service.refuse = AccountConflictError(f"AWS account {ACCOUNT} is registered for globex, not for acme.")
    ended = run("accounts", "allow", "acme", ACCOUNT)
    assert (ended.code, ended.err) == (1, f"error: AWS account {ACCOUNT} is registered for globex, not for acme.\n")


@pytest.mark.parametrize(("removed", "words"), [(True, "is no longer registered"), (False, "was not registered")])
def test_account_is_unregistered(run: Run, service: FakeService, removed: bool, words: str) -> None:
    service.unregistered = removed
    ended = run("accounts", "remove", "acme", ACCOUNT)
    assert (ended.code, ended.err) == (0, f"AWS account {ACCOUNT} {words} for acme.\n")


@pytest.mark.parametrize(("organisation", "account"), [("Acme", ACCOUNT), ("acme-prod", ACCOUNT), ("acme", "4444")])
def test_malformed_names_are_refused(run: Run, service: FakeService, organisation: str, account: str) -> None:
    assert run("accounts", "allow", organisation, account).code == 2
    assert service.account_requests == []


def test_all_pages_are_listed(run: Run, service: FakeService) -> None:
    first, second = build_registration("111122223333"), build_registration(ACCOUNT)
    pages = [AccountPage(accounts=(first,), after=first.account), AccountPage(accounts=(second,))]
    service.account_pages = list(pages)
    ended = run("accounts", "list", "--organisation", "acme")
    assert ended.out == f"111122223333  acme  2026-11-29 09:30:00 UTC\n{ACCOUNT}  acme  2026-11-29 09:30:00 UTC\n"
    assert service.account_lists == [
        ListAccountsRequest(organisation="acme", size=100),
        ListAccountsRequest(organisation="acme", size=100, after="111122223333"),
    ]
    service.account_pages = list(pages)
    assert [one["account"] for one in run("accounts", "list", "-o", "json").json] == ["111122223333", ACCOUNT]


def test_no_registered_account_is_said(run: Run, service: FakeService) -> None:
    service.account_pages = [AccountPage()]
    assert run("accounts", "list").err == "No accounts are registered.\n"
