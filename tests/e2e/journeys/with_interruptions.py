"""Journeys from the first page to READY in which the user is interrupted, or leaves and returns."""

import asyncio

from playwright.async_api import expect

from byok.domain.arns import KeyPurpose
from tests.e2e.journeys.visitor import Visitor
from tests.e2e.journeys.with_keys import create_from_review, go_to_keys
from tests.key_faults import create_valid_key


async def ended_session(user: Visitor) -> None:
    """In every step, the session expires before the user submits the form."""

    async def sign_in_again() -> None:
        await user.see("your entries are kept")
        await user.stop_at("signed out")
        await user.sign_in()

    await user.start()
    await user.enter_name()
    await user.end_session()
    await user.page.get_by_role("button", name="Next: Encryption at rest").click()
    await sign_in_again()
    await user.expect_step("Encryption at rest")

    await user.create_keys()
    await user.enter_keys()
    await user.end_session()
    await user.page.get_by_role("button", name="Validate keys").click()
    await sign_in_again()
    await user.expect_keys()
    await user.open_examination()
    await user.page.get_by_label("Key policy", exact=True).fill("a policy")
    await user.end_session()
    await user.page.get_by_role("button", name="Check policy").click()
    await sign_in_again()
    policy = user.page.get_by_label("Key policy", exact=True)
    if user.setting.script:
        await expect(policy).to_have_value("a policy")
    else:  # the policy does not fit in a URL, but the back button restores it
        await user.page.go_back()
        await expect(user.page.get_by_label("Access token")).to_be_visible()
        await user.page.go_back()
        await expect(policy).to_have_value("a policy")
    await user.expect_keys()

    await user.next_to_review()
    await user.set_enabled(KeyPurpose.S3, enabled=False)
    await user.page.get_by_label("Create this environment").check()
    await user.end_session()
    await user.page.get_by_role("button", name="Create environment").click()
    await sign_in_again()
    await user.expect_step("Review")
    await user.create()

    await user.see(user.page.locator(".phase.stopped"))
    await user.page.get_by_text("Use another key").click()
    other = await asyncio.to_thread(create_valid_key, user.web.aws, KeyPurpose.S3)
    await user.key_field(KeyPurpose.S3).fill(other)
    await user.end_session()
    await user.retry()
    await sign_in_again()
    await expect(user.key_field(KeyPurpose.S3)).to_have_value(other)
    await user.retry()
    await user.see_ready()


async def two_tabs(user: Visitor) -> None:
    """The user creates two environments in two tabs at the same time."""
    other = await user.open_tab()
    for tab in (user, other):
        await go_to_keys(tab)
        await tab.create_keys()
        await tab.enter_keys()
        await tab.validate_to_proof()
    for tab in (user, other):
        await tab.page.reload()
        await tab.expect_keys()
    for tab in (user, other):
        await tab.next_to_review()
    for tab in (user, other):
        await tab.create()
    for tab in (user, other):
        await tab.see_ready()


async def back_button(user: Visitor) -> None:
    """The user navigates with the browser's back and forward buttons, even after the environment was created."""
    await go_to_keys(user)
    await user.create_keys()
    await user.enter_keys()
    await user.next_to_review()
    await user.page.go_back()
    await user.expect_step("Encryption at rest")
    await user.expect_keys()
    await user.page.go_back()
    if user.setting.script:
        await expect(user.page.get_by_label("Environment name")).to_have_value(user.name)
    else:  # the URL does not contain the name, so the page links to the draft
        await expect(user.page.get_by_role("link", name=user.name)).to_be_visible()
    await user.stop_at("back at the first page")
    await user.page.go_forward()
    await user.expect_step("Encryption at rest")
    await user.expect_keys()
    await create_from_review(user)
    await user.page.go_back()  # the review of an existing environment leads to the step that offers to open it
    await user.see("already exists")
    await user.stop_at("back after the creation")
    await user.page.get_by_role("link", name=f"Open {user.name}").click()
    await user.see_ready()


async def reload_in_mid_provisioning(user: Visitor) -> None:
    """While Aurora creates the writer, the user reloads the page and then opens the page in a second tab."""
    await go_to_keys(user)
    await user.create_keys()
    await user.enter_keys()
    await user.next_to_review()
    hold = {"service": "rds", "operation": "CreateDBInstance", "kind": "delay", "seconds": 60, "about": user.name}
    await asyncio.to_thread(user.web.aws.call_control, "POST", "faults", **hold)
    await user.create()
    await user.see(user.page.locator(".phase", has_text="Waiting for Aurora"))
    await user.page.reload()
    await user.see(user.page.locator(".phase", has_text="Waiting for Aurora"))
    await expect(user.page.locator(".timeline li.current")).to_be_visible()
    await user.stop_at("reloaded")
    other = await user.open_tab()
    await other.page.goto(user.page.url)
    await expect(other.page.locator(".timeline li.current")).to_be_visible()
    await asyncio.to_thread(user.web.aws.call_control, "DELETE", "faults")
    for tab in (user, other):
        await tab.see_ready()
