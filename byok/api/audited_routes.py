"""The routes whose requests are recorded in the audit trail (contract 147).

A test ensures that this table contains every route of the API and the wizard that changes something.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.routing import compile_path
from starlette.types import Scope

from byok.audit.record import AuditAction
from byok.domain.models import EntryPoint

_ENVIRONMENT: Final = "/v1/environments/{environment_id}"
_ACCOUNT: Final = "/v1/organisations/{organisation}/accounts/{account}"

AUDITED_ROUTES: Final[Mapping[tuple[str, str], AuditAction | None]] = {
    ("POST", "/v1/environments"): AuditAction.CREATE_ENVIRONMENT,
    ("POST", f"{_ENVIRONMENT}/replays"): AuditAction.REPLAY_ENVIRONMENT,
    ("POST", f"{_ENVIRONMENT}/verification"): AuditAction.VERIFY_ENVIRONMENT,
    ("PUT", f"{_ENVIRONMENT}/tenant"): AuditAction.SET_TENANT_NAME,
    ("POST", f"{_ENVIRONMENT}/cancellation"): AuditAction.CANCEL,
    ("DELETE", _ENVIRONMENT): AuditAction.DELETE_ENVIRONMENT,
    ("POST", "/v1/key-checks"): AuditAction.CHECK_KEYS,
    # Policy checks and diagnoses only evaluate the text in the request, and call neither Temporal nor AWS.
    ("POST", "/v1/policy-checks"): None,
    ("POST", "/v1/diagnoses"): None,
    ("PUT", _ACCOUNT): AuditAction.REGISTER_ACCOUNT,
    ("DELETE", _ACCOUNT): AuditAction.UNREGISTER_ACCOUNT,
    ("POST", "/v1/account-proofs"): AuditAction.REGISTER_ACCOUNT,
    ("POST", "/v1/account-proofs/challenges"): None,  # signs a nonce, and calls neither Temporal nor AWS
    ("POST", "/v1/events/aws"): AuditAction.VERIFY_ENVIRONMENT,
    ("POST", "/new/encryption"): AuditAction.CHECK_KEYS,
    ("POST", "/new/discarded-drafts"): None,  # removes a cookie
    ("POST", "/new/review"): AuditAction.CREATE_ENVIRONMENT,
    ("POST", "/environments/{environment_id}"): AuditAction.REPLAY_ENVIRONMENT,
    ("POST", "/environments/{environment_id}/verification"): AuditAction.VERIFY_ENVIRONMENT,
    ("POST", "/environments/{environment_id}/cancellation"): AuditAction.CANCEL,
    ("POST", "/environments/{environment_id}/diagnosis"): None,
    ("POST", "/environments/{environment_id}/deletion"): AuditAction.DELETE_ENVIRONMENT,
    ("POST", "/sign-in"): AuditAction.SIGN_IN,
    (
        "GET",
        "/sign-in/callback",
    ): AuditAction.SIGN_IN,  # a provider redirects the browser here, so the request is a GET
    ("POST", "/sign-out"): AuditAction.SIGN_OUT,
}
"""The audit action of each route. If a route changes nothing and uses no key, its action is None, and requests to the
route are not recorded."""


@dataclass(frozen=True)
class AuditedRequest:
    """A request that is recorded in the audit trail.

    Attributes:
        fields: The path parameters, as the client sent them.
    """

    action: AuditAction
    via: EntryPoint
    fields: Mapping[str, str]


_ROUTES: Final[tuple[tuple[str, re.Pattern[str], EntryPoint, AuditAction], ...]] = tuple(
    (method, compile_path(path)[0], EntryPoint.API if path.startswith("/v1/") else EntryPoint.WIZARD, action)
    for (method, path), action in AUDITED_ROUTES.items()
    if action is not None
)


def match_audited_route(scope: Scope) -> AuditedRequest | None:
    """Return the action and the path parameters of a request.

    Return None if the route does not exist, or if its requests are not recorded.
    """
    if scope["type"] != "http":
        return None
    for method, pattern, via, action in _ROUTES:
        found = pattern.match(scope["path"]) if scope["method"] == method else None
        if found is not None:
            return AuditedRequest(action, via, found.groupdict())
    return None
