"""The wizard shows a remedy as a list, and the retry step names a button on the page."""

import re
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

import byok.wizard
from byok.domain.arns import KeyPurpose
from byok.domain.phases import Phase, RequestKind
from byok.domain.problems.build import build_problem
from byok.domain.problems.remediation import Remedy, RemedyContext, build_remediation
from byok.domain.remediation import RemedyStep, Retry, RetryRequest, RetryValues
from byok.domain.vendor import VendorProfile
from byok.wizard.draft import EnvironmentDraft
from byok.wizard.remedy_words import RetryPage, address_customer, say_retry

KEY_ARN = "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CONTEXT = RemedyContext(
    "eu-central-1", "arn:aws:iam::111122223333:role/platform", VendorProfile(), KeyPurpose.RDS, KEY_ARN
)
BUTTONS = ("Retry", "Validate keys", "Swap and validate", "Check now")


@pytest.mark.parametrize(
    ("page", "values"),
    [(page, values) for page, values in product(RetryPage, RetryValues) if page is not RetryPage.HEALTH],
)
def test_retry_names_a_button_of_the_page(page: RetryPage, values: RetryValues) -> None:
    step = RemedyStep(text="Retry.", retry=Retry(request=RetryRequest.REPLAY, values=values))
    words = say_retry(step, page, KeyPurpose.RDS)
    if values is RetryValues.CORRECTED:  # the page has no field for the value
        assert words == step.text
    else:
        assert any(f"elect {button}" in words for button in BUTTONS)
        assert ("RDS key ARN" in words) == (values in {RetryValues.ANOTHER_KEY, RetryValues.SAME_OR_ANOTHER_KEY})


@pytest.mark.parametrize("kind", [RequestKind.DELETION, RequestKind.TENANT])
@pytest.mark.parametrize("page", RetryPage)
def test_request_without_a_button_keeps_its_words(page: RetryPage, kind: RequestKind) -> None:
    retry = build_remediation(Remedy.ENABLE_KEY, RemedyContext("eu-west-1", None, VendorProfile(), request_kind=kind))
    assert say_retry(retry.steps[-1], page, None) == retry.steps[-1].text


def render_problem(remedy: Remedy, page: str) -> str:
    """Render a problem as a page of the wizard shows it."""
    templates = Path(byok.wizard.__file__).with_name("templates")
    environment = Environment(loader=FileSystemLoader(templates), autoescape=True)
    environment.filters |= {"say_retry": say_retry, "address_customer": address_customer}
    draft = EnvironmentDraft(region="eu-central-1")
    environment.globals |= {"draft": draft, "environment": {"environment_id": "acme"}, "vendor": "Ataccama"}
    at = datetime(2026, 11, 30, tzinfo=UTC)
    problem = build_problem("rds.KMSKeyNotAccessibleFault", "No.", remedy, CONTEXT, phase=Phase.READY, at=at)
    return str(environment.get_template("parts.html").module.problem(problem, 1, page))  # type: ignore[attr-defined]


def test_steps_for_the_staff_are_collapsed_and_the_customer_is_addressed() -> None:
    shown = render_problem(Remedy.DRIFT, "health")
    assert "You do not need to do anything. The keys work." in shown
    assert "The customer does not" not in shown
    own, staff = shown.split("<details")[0], shown.partition("What Ataccama does")[2]
    assert "Look up in CloudTrail" not in own
    assert "Look up in CloudTrail" in staff


def test_stopped_environment_with_swapped_keys_asks_only_for_the_retry() -> None:
    assert render_problem(Remedy.KEYS_EXCHANGED, "environment").count("<li") == 1
    assert render_problem(Remedy.KEYS_EXCHANGED, "keys").count("<li") == 3


def test_script_comes_before_the_checks_by_hand() -> None:
    own, _, by_hand = render_problem(Remedy.RDS_KEY, "environment").partition("check by hand")
    assert "Diagnose the keys" in own
    assert "Check the key's state" not in own.replace("&#39;", "'")
    assert "Check the key's state" in by_hand.replace("&#39;", "'")


def test_each_command_has_its_own_copy_button_and_the_console_opens_in_a_new_tab() -> None:
    shown = render_problem(Remedy.RDS_KEY, "keys")

    assert "RDS cannot use the Aurora key</h3>" in shown
    assert re.findall(r'<pre id="([^"]+)"', shown) == re.findall(r'data-copy="([^"]+)"', shown)
    assert shown.count("data-copy=") == 6  # five commands and one block of statements
    key_id = KEY_ARN.rpartition("/")[2]
    assert f'#/kms/keys/{key_id}" id="remedy-1-1-hand-1-console" target="_blank" rel="noopener">' in shown
    assert shown.count("<li") == sum(1 + len(step.cases) for step in build_remediation(Remedy.RDS_KEY, CONTEXT).steps)
    assert '<li class="retry"><p>Select Validate keys again.</p>' in shown
