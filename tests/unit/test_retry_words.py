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
from byok.wizard.retry_words import RetryPage, say_retry

KEY_ARN = "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CONTEXT = RemedyContext(
    "eu-central-1", "arn:aws:iam::111122223333:role/platform", VendorProfile(), KeyPurpose.RDS, KEY_ARN
)
BUTTONS = ("Retry", "Validate keys", "Swap the two ARNs", "Check now")


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


def test_each_command_has_its_own_copy_button_and_the_console_opens_in_a_new_tab() -> None:
    templates = Path(byok.wizard.__file__).with_name("templates")
    environment = Environment(loader=FileSystemLoader(templates), autoescape=True)
    environment.filters["say_retry"] = say_retry
    environment.globals["draft"] = EnvironmentDraft(region="eu-central-1")
    at = datetime(2026, 11, 30, tzinfo=UTC)
    problem = build_problem("rds.KMSKeyNotAccessibleFault", "No.", Remedy.RDS_KEY, CONTEXT, phase=Phase.READY, at=at)

    shown = str(environment.get_template("parts.html").module.problem(problem, 1, "keys"))  # type: ignore[attr-defined]

    assert "RDS cannot use the Aurora key</h3>" in shown
    assert re.findall(r'<pre id="([^"]+)"', shown) == re.findall(r'data-copy="([^"]+)"', shown)
    assert shown.count("data-copy=") == 6  # five commands and one block of statements
    assert f'#/kms/keys/{KEY_ARN.rpartition("/")[2]}" target="_blank" rel="noopener">' in shown
    assert shown.count("<li") == sum(1 + len(step.cases) for step in problem.remediation.steps)
    assert '<li class="retry"><p>Select Validate keys again.</p>' in shown
