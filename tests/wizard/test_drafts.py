"""The wizard saves the user's input as a draft, which only the same user can continue, and only in the same browser."""

import json
import re
from html import unescape
from urllib.parse import parse_qsl, urlsplit

from byok.api_settings import ApiSettings
from byok.domain.arns import KeyPurpose
from byok.service.environments import EnvironmentService
from byok.wizard.saved_drafts import MAX_SAVED_BYTES, MAX_SAVED_DRAFTS
from tests.api.test_access import TOKEN, build_static_auth
from tests.collected_keys import PLACE, build_collected_keys
from tests.wizard.conftest import DRAFT, Browser, Open
from tests.wizard.test_visits import ALL, sign_in
from tests.workflows.fake_activities import PLATFORM, RDS_KEY, REGION, S3_KEY, build_provision_request
from tests.workflows.watching import wait_until_ended


def list_drafts(browser: Browser) -> dict[str, str]:
    """Return the URLs of the drafts that the first step offers, by name."""
    offered = browser.page.text.partition('id="saved"')[2].partition("</section>")[0]
    return {name: unescape(url) for url, name in re.findall(r'<a href="([^"]+)">([^<]+)</a>', offered)}


async def enter_draft(browser: Browser, name: str, **fields: str) -> None:
    """Start a draft as in a new tab, and save values on the page *Encryption at rest*."""
    await browser.open_page("/new")
    hidden = dict(re.findall(r'<input type="hidden" name="(draft)" value="([^"]+)">', browser.page.text))
    await browser.open_page("/new", name=name, region=REGION, next="1", **hidden)
    await browser.submit_form("/new/encryption", {**dict(browser.page.url.params), **fields, "do": "update"})


async def test_draft_is_continued_without_its_url(browser: Browser) -> None:
    await enter_draft(browser, "kept", s3_key_arn=S3_KEY, rds_key_arn=RDS_KEY, profile="mine")
    await browser.open_page("/new")
    assert "Continue where you left off" in browser.text
    await browser.open_page(list_drafts(browser)["kept"])
    for value in (S3_KEY, RDS_KEY, 'value="mine"'):
        assert value in browser.page.text


async def test_back_button_to_a_url_from_before_the_keys_keeps_the_keys(browser: Browser) -> None:
    await browser.open_page("/new", name="back", region=REGION, next="1")
    before = str(browser.page.url)
    await browser.submit_form(
        "/new/encryption", {**dict(browser.page.url.params), "s3_key_arn": S3_KEY, "do": "update"}
    )
    await browser.open_page(before)
    assert S3_KEY in browser.page.text
    await browser.submit_form("/new/encryption", {**dict(browser.page.url.params), "s3_key_arn": "", "do": "update"})
    await browser.open_page(before)
    assert S3_KEY not in browser.page.text, "a field that the user has emptied stays empty"


async def test_drafts_of_two_tabs_do_not_mix(browser: Browser) -> None:
    await enter_draft(browser, "one", s3_key_arn=S3_KEY)
    first = str(browser.page.url)
    await enter_draft(browser, "two", rds_key_arn=RDS_KEY)
    await browser.open_page(first.partition("&s3_key_arn")[0])
    assert (S3_KEY in browser.page.text, RDS_KEY in browser.page.text) == (True, False)
    await browser.open_page("/new")
    assert list(list_drafts(browser)) == ["one", "two"], "the draft that was used last is the first"


async def test_drafts_are_invisible_to_another_user_of_the_browser(visit: Open) -> None:
    browser = await sign_in(visit)
    await enter_draft(browser, "mine", s3_key_arn=S3_KEY)
    url = str(browser.page.url).partition("&s3_key_arn")[0]
    access = build_static_auth("globex", *ALL)
    other: Browser = await visit(access, ApiSettings(requests_per_minute=100_000, tokens=access.tokens))
    for cookie in browser.http.cookies.jar:
        if cookie.name != "byok_session":
            other.http.cookies.jar.set_cookie(cookie)
    await other.open_page("/sign-in")
    await other.submit_form("/sign-in", {"token": TOKEN, "next": "/new"})
    assert "Continue where you left off" not in other.text
    await other.open_page(url)
    assert S3_KEY not in other.page.text


async def test_ended_session_comes_back_to_the_draft(visit: Open) -> None:
    browser = await sign_in(visit)
    await enter_draft(browser, "ended", s3_key_arn=S3_KEY)
    browser.http.cookies.delete("byok_session")
    browser.http.cookies.set("byok_session", "expired")
    await browser.submit_form(
        "/new/encryption", {**dict(browser.page.url.params), "rds_key_arn": RDS_KEY, "do": "validate"}, form_token="old"
    )
    assert "your entries are kept" in browser.text
    browser.http.cookies.delete("byok_session")
    await browser.submit_form("/sign-in", {"token": TOKEN, "next": browser.page.url.params["next"]})
    assert browser.page.url.path == "/new/encryption"
    assert S3_KEY in browser.page.text
    assert RDS_KEY in browser.page.text


async def test_discarded_and_created_drafts_are_gone(browser: Browser, environment_id: str) -> None:
    await enter_draft(browser, "discarded")
    draft = browser.page.url.params["draft"]
    await browser.open_page("/new")
    await browser.submit_form("/new/discarded-drafts", {"draft": draft})
    assert list_drafts(browser) == {}
    (undo,) = re.findall(r'Draft discarded <a href="([^"]+)">Undo</a>', browser.page.text)
    await browser.open_page(unescape(undo))
    assert 'value="discarded"' in browser.page.text
    await browser.open_page("/new")
    restored = list_drafts(browser)
    assert set(restored) == {"discarded"}
    await browser.submit_form(
        "/new/discarded-drafts", {"draft": dict(parse_qsl(urlsplit(restored["discarded"]).query))["draft"]}
    )
    await enter_draft(browser, environment_id, s3_key_arn=S3_KEY, rds_key_arn=RDS_KEY)
    fields = dict(browser.page.url.params)
    await browser.open_page("/new/review", **fields)
    await browser.submit_form("/new/review", {**fields, "confirmed": "1"})
    await browser.open_page("/new")
    assert list_drafts(browser) == {}


async def test_twenty_drafts_fit_a_cookie_header(browser: Browser) -> None:
    for number in range(MAX_SAVED_DRAFTS + 2):
        keys = {"s3_key_arn": S3_KEY, "rds_key_arn": f"{RDS_KEY[:-2]}{number:02}"}
        await browser.open_page(
            "/new/encryption/rules", name=f"n{number}", region=REGION, draft=f"draft-{number:02}", **keys
        )
    saved = {one.name: one.value or "" for one in browser.http.cookies.jar if one.name.startswith("byok_draft_")}
    assert len(saved) == MAX_SAVED_DRAFTS
    assert sum(map(len, saved.values())) < MAX_SAVED_BYTES
    await browser.open_page("/new")
    assert len(list_drafts(browser)) == MAX_SAVED_DRAFTS


async def test_drafts_are_out_of_reach_of_scripts_and_of_other_pages(browser: Browser) -> None:
    answer = await browser.http.get("/new/encryption", params={**DRAFT, "draft": "draft-01"})
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if one.startswith("byok_draft_")]
    assert all(words in cookie for words in ("HttpOnly", "SameSite=lax", "Path=/new"))
    secure = await browser.http.get("https://localhost/new/encryption", params={**DRAFT, "draft": "draft-01"})
    assert any("__Secure-byok_draft_" in one and "Secure" in one for one in secure.headers.get_list("set-cookie"))


async def test_taken_name_is_refused_on_the_first_step(browser: Browser, service: EnvironmentService) -> None:
    await service.create(build_provision_request("taken-name"))
    await wait_until_ended(service, "taken-name")
    await browser.open_page("/new", name="taken-name", region=REGION, next="1")
    assert browser.page.url.path == "/new"
    assert "The environment taken-name already exists. Choose another name." in browser.text
    assert 'href="/environments/taken-name"' in browser.page.text


async def test_error_pages_keep_the_navigation_and_say_what_was_not_found(browser: Browser) -> None:
    for path, words in (
        ("/nowhere", "There is no page at /nowhere."),
        ("/environments/gone", "Environment gone not found."),
    ):
        await browser.open_page(path)
        assert words in browser.text
        assert 'href="/new"' in browser.page.text


async def test_pasted_or_uploaded_output_of_the_script_is_diagnosed(browser: Browser) -> None:
    output = build_collected_keys().model_dump_json().replace(PLACE.role, PLATFORM.role_arn)
    disabled = json.loads(output)
    disabled[KeyPurpose.S3]["describe_key"]["KeyMetadata"]["KeyState"] = "Disabled"
    await browser.open_page("/new/encryption", **DRAFT)
    await browser.submit_form("/new/encryption", {**DRAFT, "do": "diagnose", "output": json.dumps(disabled)})
    assert "The S3 key cannot be used in its current state" in browser.text
    assert "The S3 key is disabled" in browser.text
    assert "Select Validate keys again." in browser.text
    token = browser.form_token
    answer = await browser.http.post(
        "/new/encryption",
        data={**DRAFT, "do": "diagnose", "form_token": token},
        files={
            "output_file": ("keys.json", output.replace(PLATFORM.role_arn, PLATFORM.role_arn + "2").encode("utf-16"))
        },
    )
    assert "This is the output of a script for the platform role" in answer.text
    for name, words in (
        ("script", "PLATFORM_ROLE_ARN="),
        ("terraform", "aws_kms_key"),
        ("tenant-role-template", "ExternalId"),
    ):
        assert words in (await browser.open_page(f"/new/{name}", **DRAFT)).text


async def test_no_internal_field_name_reaches_a_page(browser: Browser) -> None:
    internal = re.compile(r"\b(s3_key_arn|rds_key_arn|environment_id|on_failure|BYOK_\w+|Value error)\b")
    payload = f'{{"S3KmsKeyArn":"{S3_KEY}","RdsKmsKeyArn":"{RDS_KEY}"}}'
    for fields in (
        {"s3_key_arn": payload, "rds_key_arn": S3_KEY},
        {"s3_key_arn": S3_KEY, "rds_key_arn": S3_KEY},
        {"s3_key_arn": "x", "rds_key_arn": ""},
        {"region": "eu-north-1"},
        {"name": "-"},
        {"profile": "no profile", "stack": "1"},
    ):
        await browser.open_page("/new/encryption", **{**DRAFT, **fields, "next": "1"})
        assert not internal.search(browser.text), (fields, internal.search(browser.text))
