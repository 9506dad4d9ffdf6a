"""Writes the audit records of HTTP requests (contract 147).

`EnvironmentService` writes the intent of a request before it acts on the request. The middleware writes the outcome
before the client receives the response, even for requests that are refused before they reach a route.
"""

from http import HTTPStatus
from typing import Final

import structlog
from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from byok.api.audited_routes import AuditedRequest, match_audited_route
from byok.api.authentication import Caller
from byok.api.limits import REPEATED_REFUSAL
from byok.api.problems import PROBLEM_CODE, build_problem_response
from byok.api.requesters import build_requester, read_reason
from byok.audit.journal import AuditJournal, JournalUnwritableError
from byok.audit.record import UNAUTHENTICATED, AuditAction, AuditOutcome, AuditRecord, AuditTarget, RecordKind
from byok.domain.models import Requester
from byok.service.errors import AuditUnavailableError, NamingStoppedError

_UNWRITABLE: Final = (
    "Nothing was done, because byok cannot write its audit trail. Repeat the request in a moment; if the error "
    "persists, tell the platform's operator."
)
_STATE: Final = "audit"

log = structlog.get_logger(__name__)


class RequestAudit:
    """The audit records of one request. This class implements `byok.service.environment_reader.RequestRecorder`."""

    def __init__(self, journal: AuditJournal, asked: AuditedRequest, requester: Requester) -> None:
        self._journal = journal
        self._asked = asked
        self._target = AuditTarget.from_fields(asked.fields)
        self._workflow_id: str | None = None
        self._run_id: str | None = None
        self.requester = requester
        self.has_intent = False

    async def record_intent(self, action: AuditAction, target: AuditTarget) -> None:
        """See `RequestRecorder`.

        The record contains the route's action. The argument `action` is ignored, because for a replay
        `EnvironmentService` can pass the action for creating an environment.
        """
        if self.has_intent:
            return
        del action
        self._target = target
        try:
            await self._journal.append(self._build(RecordKind.INTENT))
        except JournalUnwritableError as error:
            raise AuditUnavailableError(_UNWRITABLE) from error
        self.has_intent = True

    async def record_own_intent(self) -> None:
        """Write the intent of a request that `EnvironmentService` does not carry out, such as a sign-in.

        Raises:
            AuditUnavailableError: The record cannot be written.
        """
        await self.record_intent(self._asked.action, self._target)

    def note_run(self, workflow_id: str, run_id: str | None) -> None:
        """See `RequestRecorder`."""
        self._workflow_id, self._run_id = workflow_id, run_id

    async def record_outcome(self, status: int, code: str | None) -> None:
        """Write the outcome of the request.

        No outcome is written if the request succeeded but started no action, for example if the wizard only showed a
        form again.

        Raises:
            JournalUnwritableError: The record cannot be written.
        """
        outcome = _outcome_of(status, code)
        if outcome is AuditOutcome.ACCEPTED and not self.has_intent:
            return
        if outcome is not AuditOutcome.ACCEPTED:
            code = code or f"http.{status}"
        await self._journal.append(self._build(RecordKind.OUTCOME, outcome, code))

    def _build(self, kind: RecordKind, outcome: AuditOutcome | None = None, code: str | None = None) -> AuditRecord:
        return AuditRecord(
            kind=kind,
            action=self._asked.action,
            requester=self.requester,
            target=self._target,
            workflow_id=self._workflow_id,
            run_id=self._run_id,
            outcome=outcome,
            code=code,
        )


class AuditMiddleware:
    """Writes the outcome of each request to a route in `AUDITED_ROUTES`.

    If the outcome of a refused request cannot be written, the client gets 503 instead of the refusal. If byok has
    already acted, the client still gets the normal response, and byok logs that the outcome could not be recorded.

    If the rate limit refuses several requests from one address within a minute, only the first refusal is recorded, so
    that a flood of requests cannot fill the disk.
    """

    def __init__(self, app: ASGIApp, journal: AuditJournal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        asked = match_audited_route(scope)
        if asked is None:
            await self._app(scope, receive, send)
            return
        sender = Requester(
            via=asked.via,
            subject=UNAUTHENTICATED,
            source=(scope.get("client") or (None,))[0],
            request_id=scope["state"]["request_id"],
            reason=read_reason(scope),
        )
        audit = scope["state"][_STATE] = RequestAudit(self._journal, asked, sender)
        replaced = False

        async def send_after_outcome(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and not scope["state"].get(REPEATED_REFUSAL, False):
                try:
                    await audit.record_outcome(message["status"], scope["state"].get(PROBLEM_CODE))
                except JournalUnwritableError:
                    log.exception("audit_outcome_missing", request_id=sender.request_id)
                    replaced = not audit.has_intent
                    if replaced:
                        code = AuditUnavailableError.code
                        unavailable = build_problem_response(
                            scope, HTTPStatus.SERVICE_UNAVAILABLE, code, _UNWRITABLE, headers={"Retry-After": "5"}
                        )
                        await unavailable(scope, receive, send)
            if not replaced:
                await send(message)

        await self._app(scope, receive, send_after_outcome)


def find_request_audit(request: Request) -> RequestAudit | None:
    """Return the audit records of a request; None if requests to this route are not recorded."""
    found: RequestAudit | None = request.scope["state"].get(_STATE)
    return found


async def record_own_intent(request: Request) -> None:
    """Write the intent of a request that `EnvironmentService` does not carry out, such as a sign-in.

    Raises:
        AuditUnavailableError: The record cannot be written.
    """
    audit = find_request_audit(request)
    if audit is not None:
        await audit.record_own_intent()


def identify_requester(request: Request, caller: Caller) -> None:
    """Record the authenticated caller in the audit records of a request."""
    audit = find_request_audit(request)
    if audit is not None:
        audit.requester = build_requester(request, caller, audit.requester.via, audit.requester.reason)


def _outcome_of(status: int, code: str | None) -> AuditOutcome:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or code == NamingStoppedError.code:
        return AuditOutcome.FAILED
    if status >= HTTPStatus.BAD_REQUEST or code is not None:
        return AuditOutcome.REFUSED
    return AuditOutcome.ACCEPTED
