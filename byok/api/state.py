"""What an application holds while it runs: the door to Temporal as soon as there is one, and who watches what."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from byok.api.authentication import Authenticator
from byok.api.paging import PageTokenSigner
from byok.api.status_broadcaster import StatusBroadcaster
from byok.domain.vendor import VendorProfile
from byok.service.environments import EnvironmentService
from byok.service.errors import ServiceError, TemporalUnreachableError

_TRY_AGAIN_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


@dataclass
class ApiState:
    """What routes work with.

    Attributes:
        access: Finds out who calls.
        platform_role_arn: The role that the customers' key policies name.
        vendor: The vendor's names.
        connect: Opens the door to Temporal.
        secret: What is handed out and has to come back unchanged is signed with.
        max_streams: How many streams one organisation may have open.
        opened: Set as soon as it is open.
    """

    access: Authenticator
    platform_role_arn: str
    vendor: VendorProfile
    connect: Callable[[], Awaitable[EnvironmentService]]
    secret: str = field(repr=False)
    max_streams: int
    opened: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _service: EnvironmentService | None = field(default=None, init=False)
    _followers: StatusBroadcaster | None = field(default=None, init=False)

    @property
    def service(self) -> EnvironmentService:
        """The door.

        Raises:
            TemporalUnreachableError: It has not been opened yet: it is tried again and again.
        """
        if self._service is None:
            raise TemporalUnreachableError("Temporal does not answer yet; it is tried again every few seconds.")
        return self._service

    @property
    def broadcaster(self) -> StatusBroadcaster:
        """Those who watch environments.

        Raises:
            TemporalUnreachableError: As `service`.
        """
        if self._followers is None:
            self._followers = StatusBroadcaster(self.service, self.max_streams)
        return self._followers

    @property
    def page_token_signer(self) -> PageTokenSigner:
        """Signs the ends of pages."""
        return PageTokenSigner(self.secret)

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open the door, and keep trying where nothing answers: the pages that need nobody are there at once."""
        connecting = asyncio.create_task(self._keep_connecting())
        try:
            yield
        finally:
            connecting.cancel()
            if self._followers is not None:
                self._followers.close()

    async def _keep_connecting(self) -> None:
        while self._service is None:
            try:
                self._service = await self.connect()
                self.opened.set()
            except ServiceError as error:
                log.warning("temporal does not answer", reason=str(error))
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
