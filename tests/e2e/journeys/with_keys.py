"""Journeys from the first page to READY, with different ways to create keys and different mistakes with keys."""

import asyncio
import json

from playwright.async_api import expect

from byok.domain.arns import KeyPurpose
from tests.e2e.journeys.visitor import PROVED, Visitor
from tests.key_faults import build_key_statements, create_valid_key
from tests.localaws.server import REGION


async def go_to_keys(user: Visitor) -> None:
    """Go from the first page to the keys."""
    await user.start()
    await user.stop_at("first page")
    await user.enter_name()
    await user.next_to_keys()


async def create_from_review(user: Visitor) -> None:
    """Go from the keys to READY."""
    await user.next_to_review()
    await user.stop_at("review")
    await user.create()
    await user.see_ready()


async def cloudformation_keys(user: Visitor) -> None:
    """One CloudFormation stack creates both keys, and the user pastes the stack's output."""
    await go_to_keys(user)
    await user.stop_at("keys")
    payload = await user.deploy_template()
    await user.key_field(KeyPurpose.RDS).fill(payload)
    await user.validate_to_proof()  # contract 50: one payload fills both fields
    await user.stop_at("proved")
    await create_from_review(user)
    await expect(user.page.get_by_text(f"TenantName={user.name}")).to_be_visible()  # contract 100, 108, 131
    await user.page.get_by_role("link", name="Environments", exact=True).click()
    await expect(user.page.get_by_role("rowheader", name=user.name)).to_be_visible()
    height = await user.page.get_by_role("link", name=user.name).evaluate("link => link.offsetHeight")
    assert height < 40, "the name must fit on one line"
    await user.stop_at("list")


async def console_keys(user: Visitor) -> None:
    """The user creates both keys in the AWS console, with the statements that the wizard shows."""
    await go_to_keys(user)
    await user.page.get_by_role("tab", name="Key policy statements").click()
    if not user.setting.script:
        assert await user.page.get_by_role("button", name="Copy").count() == 0, "such a button would do nothing"
    await user.stop_at("statements")
    for which, title in {
        KeyPurpose.S3: "S3 key policy statement",
        KeyPurpose.RDS: "Aurora key policy statements",
    }.items():
        statements = json.loads(f"[{await user.page.get_by_label(title, exact=True).inner_text()}]")
        user.keys[which] = await asyncio.to_thread(user.web.aws.create_key, *statements)
    await user.enter_keys()
    await user.validate_to_proof()
    await create_from_review(user)


async def exchanged_arns(user: Visitor) -> None:
    """The user swaps the two ARNs, and the validation reports the mistake."""
    await go_to_keys(user)
    await user.create_keys()
    exchanged = {KeyPurpose.S3: user.keys[KeyPurpose.RDS], KeyPurpose.RDS: user.keys[KeyPurpose.S3]}
    await user.enter_keys(exchanged)
    await user.validate()
    await user.see("Swap and validate")
    await user.expect_keys(exchanged)
    await user.stop_at("exchanged")
    await user.page.get_by_role("button", name="Swap and validate").click()
    await user.see(PROVED)
    await user.expect_keys()
    await create_from_review(user)


async def exchanged_arns_without_validation(user: Visitor) -> None:
    """The user swaps the two ARNs and skips the validation, and then provisioning stops."""
    await go_to_keys(user)
    await user.create_keys()
    right = dict(user.keys)
    user.keys = {KeyPurpose.S3: right[KeyPurpose.RDS], KeyPurpose.RDS: right[KeyPurpose.S3]}
    await user.enter_keys()
    await user.next_to_review()
    await user.create()
    await user.see(user.page.locator(".phase.stopped"))
    await user.see(user.page.locator(".problem").get_by_role("heading", level=3).first)
    await user.expect_keys(right)
    await user.stop_at("stopped")
    await user.retry()
    await user.see_ready()


async def disabled_s3_key(user: Visitor) -> None:
    """The S3 key is disabled before the validation, enabled, and disabled again before provisioning."""
    await _find_disabled_key(user, KeyPurpose.S3, "The S3 key is disabled")


async def disabled_aurora_key(user: Visitor) -> None:
    """The Aurora key is disabled before the validation, enabled, and disabled again before provisioning."""
    await _find_disabled_key(user, KeyPurpose.RDS, "Aurora key")


async def _find_disabled_key(user: Visitor, which: KeyPurpose, title: str) -> None:
    await go_to_keys(user)
    await user.create_keys()
    await user.set_enabled(which, enabled=False)
    await user.enter_keys()
    await user.validate()
    await user.see_heading(f"The {which.display_name} cannot be used yet")
    await user.see(user.page.locator("#keys .problem").get_by_role("heading", name=title))
    await expect(user.key_field(which)).to_be_focused()
    await user.expect_keys()
    await user.stop_at("refused")

    await user.set_enabled(which, enabled=True)
    await user.validate_to_proof()
    await user.next_to_review()
    await user.set_enabled(which, enabled=False)
    await user.create()
    await user.see(user.page.locator(".phase.stopped"))
    await user.see(user.page.locator(".problem").get_by_role("heading", name=title))
    await expect(user.page.get_by_text(user.keys[which]).first).to_be_attached()  # contract 30
    await user.stop_at("stopped")

    await user.set_enabled(which, enabled=True)
    await user.retry()
    await user.see_ready()


async def wrong_policy(user: Visitor) -> None:
    """The S3 key's policy lacks the platform's statement, and the user finds out with the policy check."""
    await go_to_keys(user)
    user.keys = {
        KeyPurpose.S3: await asyncio.to_thread(user.web.aws.create_key),
        KeyPurpose.RDS: await asyncio.to_thread(create_valid_key, user.web.aws, KeyPurpose.RDS),
    }
    await user.enter_keys()
    await user.validate()
    await user.see_heading("The S3 key cannot be used yet")
    await user.stop_at("refused")

    kms, key = user.web.aws.customer_client("kms"), user.keys[KeyPurpose.S3]
    policy = json.loads((await asyncio.to_thread(kms.get_key_policy, KeyId=key))["Policy"])
    await user.open_examination()
    await _check_policy(user, json.dumps(policy))
    await user.see_heading("The platform cannot use the S3 key")
    await user.stop_at("policy refused")

    policy["Statement"] += build_key_statements(KeyPurpose.S3)
    await asyncio.to_thread(kms.put_key_policy, KeyId=key, Policy=json.dumps(policy))
    await _check_policy(user, json.dumps(policy))
    await user.see_heading("The policy lets the platform use the S3 key")
    await user.expect_keys()
    await user.validate_to_proof()
    await create_from_review(user)


async def _check_policy(user: Visitor, policy: str) -> None:
    await user.page.get_by_label("Key policy", exact=True).fill(policy)
    await user.page.get_by_role("button", name="Check policy").click()


async def platform_managed_keys(user: Visitor) -> None:
    """The user has no keys, and chooses platform-managed keys."""
    await go_to_keys(user)
    await user.page.get_by_role("radio", name="Platform-managed").click()  # takes effect immediately with JavaScript
    if not user.setting.script:
        await user.page.get_by_role("button", name="Apply").click()
    await user.see("cannot be switched to your own keys later")  # contract 9
    await expect(user.key_field(KeyPurpose.S3)).to_have_count(0)
    await user.stop_at("platform-managed")
    await create_from_review(user)  # contract 14, 132


async def wrong_entries(user: Visitor) -> None:
    """The user makes a mistake in each field."""
    await user.web.service.create(user.web.build_request(environment_id=f"{user.name}-taken"))
    await user.start()
    for wrong, fault in (("Not Legal", "Start with a letter"), (f"{user.name}-taken", "already exists")):
        await user.enter_name(wrong)
        await user.page.get_by_role("button", name="Next: Encryption at rest").click()
        await user.see(user.page.locator("#name-fault").get_by_text(fault))
        await expect(user.page.get_by_label("Environment name")).to_have_value(wrong)
        await expect(user.page.get_by_label("AWS Region")).to_have_value(REGION)
    await user.stop_at("taken name")
    await user.enter_name()
    await user.next_to_keys()

    alias = f"arn:aws:kms:{REGION}:444455556666:alias/mine"
    wrong_arns = {KeyPurpose.S3: alias, KeyPurpose.RDS: "nonsense"}
    await user.key_field(KeyPurpose.S3).fill(alias)
    if user.setting.script:
        await user.see(user.page.locator("#s3_key_arn-fault").get_by_text("alias"))  # contract 82, while typing
    await user.enter_keys(wrong_arns)
    await user.validate()
    await user.see_heading("These keys cannot be used yet")
    await user.see(user.page.locator("#keys .problem").get_by_role("heading").first)
    await user.expect_keys(wrong_arns)
    await user.stop_at("wrong arns")
    await user.create_keys()
    await user.enter_keys()
    await create_from_review(user)
