"""A problem links to the documentation page for its code, and Temporal does not store the link."""

from contextvars import copy_context
from datetime import UTC, datetime

import pytest
from temporalio.api.common.v1 import Payload

from byok.domain.help_pages import build_help_url, read_docs_url, use_docs_url
from byok.domain.models import Problem
from byok.domain.phases import Phase
from byok.domain.remediation import Remediation
from byok.temporal_inputs import StrictPayloadConverter

STOP = Problem(
    code="s3.KMS.DisabledException",
    message="The key is disabled.",
    phase=Phase.VALIDATING_KEYS,
    region="eu-central-1",
    at=datetime(2026, 11, 30, tzinfo=UTC),
    remediation=Remediation(title="The key is disabled"),
)


def test_help_url_is_relative_until_an_entry_point_chooses_an_address() -> None:
    assert STOP.model_dump()["help_url"] == "/docs/problems/s3.KMS.DisabledException"

    def choose() -> str:
        use_docs_url("https://byok.example.com/docs/")
        return STOP.help_url

    assert copy_context().run(choose) == "https://byok.example.com/docs/problems/s3.KMS.DisabledException"
    assert build_help_url("a/b?c") == "/docs/problems/a/b%3Fc"


@pytest.mark.parametrize(
    ("environ", "address"),
    [
        ({}, "/docs"),
        ({"BYOK_API__PUBLIC_URL": "https://byok.example.com/"}, "https://byok.example.com/docs"),
        ({"BYOK_DOCS_URL": "https://help.example.com", "BYOK_API__PUBLIC_URL": "x"}, "https://help.example.com"),
    ],
)
def test_documentation_is_at_the_public_url_unless_a_setting_says_otherwise(
    environ: dict[str, str], address: str
) -> None:
    assert read_docs_url(environ) == address


def test_temporal_stores_no_help_url() -> None:
    (payload,) = StrictPayloadConverter().to_payloads([STOP])
    assert isinstance(payload, Payload)
    assert b"help_url" not in payload.data
    assert StrictPayloadConverter().from_payloads([payload], [Problem]) == [STOP]
