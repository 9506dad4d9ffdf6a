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
