"""Without JavaScript, cancel and delete an environment on its page, and search and filter the list of environments."""

import asyncio

from byok.audit.journal import AuditJournal
from byok.audit.record import AuditAction
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from tests.wizard.conftest import Browser, Open
from tests.wizard.test_audit import ACCEPTED, outcomes
from tests.wizard.test_visits import sign_in
from tests.workflows.fake_activities import REGION, S3_KEY, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended


async def test_environment_is_deleted_only_after_its_name_was_typed(
    browser: Browser, service: EnvironmentService, journal: AuditJournal, environment_id: str
) -> None:
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    page = f"/environments/{environment_id}"
    await browser.open_page(page)
    assert "rds.amazonaws.com Copy the endpoint" in browser.text
    assert "The Aurora cluster and the S3 buckets are encrypted with your keys." in browser.text
    evidence = await browser.http.get(f"{page}/evidence")
    assert evidence.json()["database"]["endpoint"] in browser.text
    assert "attachment" in evidence.headers["content-disposition"]
    assert (await browser.http.get(f"{page}-other/evidence")).status_code == 404
    assert f'href="{page}/deletion"' in browser.page.text

    await browser.open_page(f"{page}/deletion")
    texts = ("with all its data", "your keys, and everything else in your AWS account", "Take a final snapshot")
    assert [text for text in texts if text not in browser.text] == []
    await browser.submit_form(f"{page}/deletion", {"confirm": "another", "reason": "no longer used"})
    assert (browser.page.status_code, f"Type {environment_id} to confirm" in browser.text) == (422, True)
    assert 'value="no longer used"' in browser.page.text
    assert 'name="final_snapshot" value="1" checked' not in browser.page.text
    assert (await service.read_status(environment_id)).phase is Phase.READY
    token = browser.form_token
    await browser.submit_form(f"{page}/deletion", {"confirm": environment_id, "reason": "no longer used"})
    assert "Deletion started" in browser.text

    deleted = await wait_until_ended(service, environment_id)
    assert (deleted.phase, deleted.reason) == (Phase.DELETED, "no longer used")
    assert outcomes(journal)[-1] == (AuditAction.DELETE_ENVIRONMENT, ACCEPTED, None)
    await browser.open_page(f"{page}/deletion")
    assert browser.page.url.path == page
    assert "AWS lists no resources of this environment" in browser.text
    await browser.submit_form(f"{page}/cancellation", {}, form_token=token)
    assert (browser.page.status_code, "The operation has already ended" in browser.text) == (409, True)


async def test_delete_and_cancel_need_their_scopes_and_the_form_of_the_session(
    visit: Open, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    name = f"acme-{environment_id}"
    harness.activities.accounts = {S3_KEY.split(":")[4]: "acme"}
    await service.create(build_provision_request(name, organisation="acme"))
    await wait_until_ended(service, name)
    writer = await sign_in(visit, "acme", "environments:read", "environments:write")
    assert "Delete environment" not in (await writer.open_page(f"/environments/{name}")).text
    for answer in (
        await writer.submit_form(f"/environments/{name}/deletion", {"confirm": name}),
        await writer.open_page(f"/environments/{name}/deletion"),
    ):
        assert (answer.status_code, "environments:delete" in answer.text) == (403, True)
    everything = await sign_in(visit)
    await everything.open_page(f"/environments/{name}")
    for act in ("deletion", "cancellation"):
        path = f"/environments/{name}/{act}"
        answer = await everything.submit_form(path, {"confirm": name}, form_token="of another session")
        assert answer.status_code == 403
    assert (await service.read_status(name)).phase is Phase.READY


async def test_list_is_searched_and_filtered(
    browser: Browser, service: EnvironmentService, environment_id: str
) -> None:
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    middle = environment_id[2:-2].upper()
    async with asyncio.timeout(20):  # visibility is eventually consistent
        while environment_id not in (await browser.open_page("/environments", q=middle, phase="READY")).text:
            pass
    assert f'value="{middle}"' in browser.page.text
    await browser.open_page("/environments", q=middle, phase="", health="", region=REGION)
    assert environment_id in browser.text
    for wanted in ({"phase": "STOPPED"}, {"region": "us-east-1"}, {"q": f"{middle}x"}):
        await browser.open_page("/environments", **({"q": middle} | wanted))
        assert "No environments match" in browser.text, wanted
