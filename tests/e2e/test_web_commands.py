"""Create environments with only the template, the commands and the forms that the wizard shows (contract 130)."""

import asyncio
import html
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from byok.domain.arns import KeyPair
from byok.domain.models import AccountRequest, ListAccountsRequest
from byok.domain.phases import Phase
from localaws.state import CUSTOMER_ACCOUNT
from tests.e2e.conftest import StackHarness
from tests.e2e.test_guide import CustomerShell
from tests.e2e.test_web_api import run_authenticated_server
from tests.localaws.server import REGION, VENDOR
from tests.wizard.conftest import Browser


@pytest.fixture
def shell(web: StackHarness, aws_cli: Path, tmp_path: Path) -> CustomerShell:
    return CustomerShell(tmp_path, aws_cli, web)


@pytest_asyncio.fixture
async def browser(web: StackHarness) -> AsyncIterator[Browser]:
    async with httpx.AsyncClient(base_url=web.stack.web_url, timeout=60) as http:
        yield Browser(http)


def copy_command(browser: Browser, name: str) -> str:
    """Return the text that the page's *Copy* button copies."""
    shown = re.search(rf'<pre id="{name}"[^>]*>(.*?)</pre>', browser.page.text, re.DOTALL)
    assert shown, f"the page shows no {name}"
    return html.unescape(shown[1])


async def create_named_environment(browser: Browser, shell: CustomerShell, name: str) -> KeyPair:
    """Create keys and an environment that uses them, set the tenant name on the keys, and return the keys."""
    draft = {"name": name, "region": REGION, "profile": "byok"}
    (shell.folder / "byok-kms-keys.yaml").write_text((await browser.open_page("/new/template")).text)
    await browser.open_page("/new", **draft, next="1")
    await shell.run_successfully(copy_command(browser, "deploy"))
    payload = await shell.run_successfully(copy_command(browser, "payload"))
    await browser.submit_form("/new/encryption", {**draft, "rds_key_arn": payload, "do": "next"})
    assert browser.page.url.path == "/new/review", browser.text
    await browser.submit_form("/new/review", {**dict(browser.page.url.params), "confirmed": "1"})
    assert browser.page.url.path == f"/environments/{name}", browser.text
    status = await shell.machine.wait_until_ended(name)
    assert status.phase is Phase.READY
    assert status.evidence is not None
    (s3_key_arn,) = {bucket.key_arn for bucket in status.evidence.buckets}
    await browser.open_page(f"/environments/{name}")
    await shell.run_successfully(copy_command(browser, "name-keys-1"))
    return KeyPair(s3_key_arn, status.evidence.database.key_arn)


async def test_customer_registers_an_account_with_the_aws_cli(web: StackHarness, shell: CustomerShell) -> None:
    # Another test sends requests that are generated from the OpenAPI document. Those requests might have registered the
    # account that the document's examples use.
    for one in (await web.service.list_accounts(ListAccountsRequest())).accounts:
        await web.service.unregister_account(AccountRequest(organisation=one.organisation, account=one.account))
    async with (
        run_authenticated_server(web, "initech") as (address, token),
        httpx.AsyncClient(base_url=f"{address}/v1", headers={"Authorization": f"Bearer {token}"}, timeout=60) as portal,
    ):
        challenge = (await portal.post("/account-proofs/challenges")).json()
        printed = await shell.run_successfully(challenge["command"])
        proof = {"nonce": challenge["nonce"], "token": printed}
        answer = await portal.post("/account-proofs", json=proof)
        assert answer.status_code == 200, answer.text
        (registered,) = (await portal.get("/accounts")).json()["accounts"]
        assert (registered["account"], registered["organisation"]) == (CUSTOMER_ACCOUNT, "initech")  # contract 146
        assert (await portal.post("/account-proofs", json=proof)).json()["code"] == "byok.AccountProofUsed"
    async with httpx.AsyncClient(base_url=web.stack.web_url, timeout=60) as staff:
        gone = await staff.delete(f"/v1/organisations/initech/accounts/{CUSTOMER_ACCOUNT}")
        assert gone.status_code == 204


async def test_each_of_two_environments_has_its_own_name_on_its_own_keys(
    web: StackHarness, browser: Browser, shell: CustomerShell
) -> None:
    names = [f"{which}-{uuid.uuid4().hex[:8]}" for which in ("first", "second")]
    pairs = [await create_named_environment(browser, shell, name) for name in names]

    assert len({arn for pair in pairs for arn in pair.arns}) == 4
    for name, pair in zip(names, pairs, strict=True):
        for which, arn in pair.items():
            found = await asyncio.to_thread(web.stack.customer.read_aliases_and_tags, arn)
            expected = [VENDOR.alias_for_tenant(which, name)], dict.fromkeys(VENDOR.tenant_tags, name)
            assert found == expected  # contract 100, 108, 130, 131
