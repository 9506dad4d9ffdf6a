"""The route to which EventBridge sends AWS events (contract 141).

EventBridge authenticates with a shared secret in a header (docs/aws-events.md). A caller who knows the secret can start
checks of environments, but can do nothing else.
"""

import hashlib
import hmac
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.security import APIKeyHeader

from byok.api.auditing import find_request_audit, identify_requester
from byok.api.authentication import Caller
from byok.api.dependencies import State, api_state
from byok.api.problems import ProblemError, openapi_problem_responses
from byok.api.requesters import build_requester
from byok.api.responses import AwsEventResponse
from byok.domain.arns import account_id_of_role
from byok.domain.aws_events import AwsEvent, find_subject
from byok.domain.models import EntryPoint
from byok.service.aws_events import check_subject
from byok.service.environments import EnvironmentService

EVENT_HEADER: Final = "X-Byok-Event-Secret"
EVENTBRIDGE_CALLER: Final = Caller(None, frozenset(), subject="aws-events")
"""The requester of checks that EventBridge starts. This requester has no scope, so no other route accepts it."""

router = APIRouter(
    prefix="/events",
    tags=["events"],
    responses=openapi_problem_responses(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY
    ),
)
_secret_header = APIKeyHeader(
    name=EVENT_HEADER,
    scheme_name="AwsEventSecret",
    auto_error=False,
    description="The shared secret from BYOK_API__AWS_EVENTS_SECRET.",
)


async def _service(request: Request, given: Annotated[str | None, Depends(_secret_header)]) -> EnvironmentService:
    """Return an `EnvironmentService` that acts on behalf of EventBridge.

    Raises:
        ProblemError: The server accepts no events, or the secret is missing or wrong.
        TemporalUnreachableError: The server is not connected to Temporal yet.
    """
    state = api_state(request)
    if state.aws_events_secret is None:
        raise ProblemError(
            HTTPStatus.NOT_FOUND,
            "byok.AwsEventsOff",
            "This server accepts no AWS events. To accept events, set BYOK_API__AWS_EVENTS_SECRET.",
        )
    digests = [
        hashlib.sha256(one.encode(errors="surrogatepass")).digest() for one in (given or "", state.aws_events_secret)
    ]
    if not hmac.compare_digest(*digests):
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "byok.Unauthenticated",
            f"The header {EVENT_HEADER} is missing, or does not contain the secret in BYOK_API__AWS_EVENTS_SECRET.",
            {"WWW-Authenticate": f'ApiKey header="{EVENT_HEADER}"'},
        )
    identify_requester(request, EVENTBRIDGE_CALLER)
    requester = build_requester(request, EVENTBRIDGE_CALLER, EntryPoint.API)
    return state.service.on_behalf_of(requester, find_request_audit(request))


@router.post("/aws", status_code=HTTPStatus.ACCEPTED)
async def receive_aws_event(
    service: Annotated[EnvironmentService, Depends(_service)], state: State, event: AwsEvent
) -> AwsEventResponse:
    """Start a check of each environment that is affected by an event from EventBridge.

    An event alone never changes the health of an environment; only a check does. If the event affects no READY
    environment, the list is empty, but the response is still a success, so that EventBridge does not send the event
    again.
    """
    if not event.is_timely(datetime.now(UTC)):
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "byok.EventNotTimely",
            "time: must be at most 15 minutes in the past and at most 5 minutes in the future. No check was "
            "started. The next regular check detects what the event reports.",
            fault=("time", "must be at most 15 minutes in the past and at most 5 minutes in the future"),
        )
    subject = find_subject(event, state.vendor, account_id_of_role(state.platform_role_arn))
    return AwsEventResponse(environments=[] if subject is None else await check_subject(service, subject))
