"""Streams an environment's changes as Server-Sent Events (WHATWG HTML, "Server-sent events").

There are two kinds of events: a `phase` event for each phase that the environment enters, and a `status` event with the
whole status after every change. The id of an event is a cursor: `<run>:<phases>:<digest of the status>`. A client that
reconnects with the id of the last event gets the phases since that event, and the status if it has changed.
"""

import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent

from byok.api.authentication import Caller
from byok.api.authorization import ReadableId, ReadCaller, Service
from byok.api.dependencies import Broadcaster
from byok.api.problems import StreamFinishedError, openapi_problem_responses
from byok.api.responses import StreamProblem
from byok.api.status_broadcaster import StatusBroadcaster
from byok.service.environments import EnvironmentService
from byok.service.errors import ServiceError
from byok.service.status import EnvironmentStatus

router = APIRouter(prefix="/environments", tags=["environments"])


@dataclass(frozen=True)
class EventCursor:
    """How far a client has read the event stream.

    Attributes:
        run_id: The run that the client has seen; empty if it has seen no run.
        phases: How many phases of that run the client has seen.
        digest: The digest of the last status that the client has seen; empty if it has seen no status.
    """

    run_id: str = ""
    phases: int = 0
    digest: str = ""

    @classmethod
    def from_status(cls, status: EnvironmentStatus) -> "EventCursor":
        """Return the cursor of a client that has seen this status."""
        return cls(
            status.run_id, len(status.timeline), hashlib.sha256(status.model_dump_json().encode()).hexdigest()[:16]
        )

    @classmethod
    def from_event_id(cls, text: str | None) -> "EventCursor":
        """Parse an event id. For an unknown format, return the cursor of a client that has seen nothing."""
        run_id, _, rest = (text or "").partition(":")
        phases, _, digest = rest.partition(":")
        return cls(run_id, int(phases), digest) if re.fullmatch(r"[0-9]{1,6}", phases) else cls()

    def __str__(self) -> str:
        return f"{self.run_id}:{self.phases}:{self.digest}"


async def resolve_event_cursor(
    last_event_id: str | None,
    environment_id: str,
    caller: Caller,
    service: EnvironmentService,
    followers: StatusBroadcaster,
) -> EventCursor:
    """Return the position at which a stream begins.

    This function runs before the stream opens, so that a missing environment is reported as an HTTP error.

    Raises:
        StreamFinishedError: The client has seen everything, and no more events will come.
        EnvironmentNotFoundError: No environment has this id.
        TooManyStreamsError: The organisation has reached its maximum number of open streams.
    """
    seen, status = EventCursor.from_event_id(last_event_id), await service.read_status(environment_id)
    if status.phase.is_final and EventCursor.from_status(status) == seen:
        raise StreamFinishedError
    followers.require_free_stream(caller)
    return seen


async def _cursor(
    environment_id: ReadableId,
    caller: ReadCaller,
    service: Service,
    followers: Broadcaster,
    last_event_id: Annotated[
        str | None, Header(max_length=256, description="The id of the last event that the client received.")
    ] = None,
) -> EventCursor:
    return await resolve_event_cursor(last_event_id, environment_id, caller, service, followers)


@router.get(
    "/{environment_id}/events",
    response_class=EventSourceResponse,
    responses={
        204: {"description": "The client has seen everything; no more events will come."},
        **openapi_problem_responses(
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.FORBIDDEN,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            HTTPStatus.BAD_GATEWAY,
        ),
    },
)
async def stream_events(
    environment_id: ReadableId,
    caller: ReadCaller,
    followers: Broadcaster,
    seen: Annotated[EventCursor, Depends(_cursor)],
) -> AsyncIterator[ServerSentEvent]:
    """Stream an environment's phases and status until it is ready, stopped or deleted, or until the token expires."""
    try:
        async for status in followers.follow(environment_id, caller):
            for event in events_since(status, seen):
                yield event
            seen = EventCursor.from_status(status)
    except ServiceError as error:
        yield ServerSentEvent(event="problem", data=StreamProblem(code=error.code, detail=str(error)))


def events_since(status: EnvironmentStatus, seen: EventCursor) -> list[ServerSentEvent]:
    """Return the events for a status, without the events that the client has already received."""
    now = EventCursor.from_status(status)
    known = seen.phases if seen.run_id == now.run_id else 0
    found = [
        ServerSentEvent(event="phase", id=str(EventCursor(now.run_id, number)), data=entry)
        for number, entry in enumerate(status.timeline, start=1)
        if number > known
    ]
    if now != seen:
        found.append(ServerSentEvent(event="status", id=str(now), data=status))
    return found
