"""The OpenAPI document in the repository is identical to the document that the server returns."""

import json
import os
from pathlib import Path

from byok.api.app import make_api_app
from byok.api.authentication import AllowAllAuth
from byok.api.state import ApiState
from byok.audit.journal import AuditJournal
from byok.domain.vendor import VendorProfile
from byok.service.environments import EnvironmentService

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_openapi_document_in_the_repository_is_current(journal: AuditJournal) -> None:
    async def connect() -> EnvironmentService:
        raise NotImplementedError

    role = "arn:aws:iam::111122223333:role/AtaccamaPlatform"
    app = make_api_app(ApiState(AllowAllAuth(), role, VendorProfile(), (), connect, "a secret", 1, journal))
    text = json.dumps(app.openapi(), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("BYOK_TEST_RECORD"):
        DOCUMENT.write_text(text)
    assert DOCUMENT.read_text() == text, "record it again: BYOK_TEST_RECORD=1 pytest tests/api/test_openapi.py"


def test_every_response_with_a_body_has_a_schema() -> None:
    """Without a schema, openapi-python-client 0.29.1 does not return a response's body (docs/behaviour.md)."""
    without_schema = [
        (path, method, status, media_type)
        for path, operations in json.loads(DOCUMENT.read_text())["paths"].items()
        for method, operation in operations.items()
        for status, response in operation["responses"].items()
        for media_type, content in response.get("content", {}).items()
        if not content.keys() & {"schema", "itemSchema"}
    ]

    assert without_schema == []
