"""Holds the state of a running application.

The state contains the status broadcaster and, once the application is connected to Temporal, an `EnvironmentService`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from byok.api.account_challenges import ChallengeSigner
from byok.api.authentication import Authenticator
from byok.api.paging import PageTokenSigner
from byok.api.status_broadcaster import StatusBroadcaster
from byok.audit.journal import AuditJournal
from byok.audit.shipping import AuditShipper
from byok.domain.account_proofs import list_sts_endpoints
from byok.domain.arns import partition_of_region
from byok.domain.vendor import VendorProfile
from byok.service.environments import EnvironmentService
from byok.service.errors import ServiceError, TemporalUnreachableError

_TRY_AGAIN_SECONDS: Final = 2.0

log = structlog.get_logger(__name__)


@dataclass
class ApiState:
    """The application state that is available to the routes.

    Attributes:
        access: Authenticates callers.
        platform_role_arn: The ARN of the platform role, to which the customers' key policies grant permissions.
        vendor: The vendor profile.
        regions: The Regions in use.
        connect: Connects to Temporal and returns an `EnvironmentService`.
        secret: Signs page tokens and session cookies.
        max_streams: The maximum number of streams that one organisation can have open at the same time.
        local_aws: The endpoint of the local AWS emulator; None if the platform uses AWS.
        journal: The journal of the audit trail.
        shipper: Ships the audit trail; None if no bucket is set.
        aws_events_secret: The secret with which EventBridge authenticates; None if the server accepts no AWS events.
        template_url: The address of the key template in S3; None if the vendor has not uploaded the template.
        opened: An event that is set once the server is connected to Temporal.
    """

    access: Authenticator
    platform_role_arn: str
    vendor: VendorProfile
    regions: Sequence[str]
    connect: Callable[[], Awaitable[EnvironmentService]]
    secret: str = field(repr=False)
    max_streams: int
    journal: AuditJournal
    shipper: AuditShipper | None = None
    local_aws: str | None = None
    aws_events_secret: str | None = field(default=None, repr=False)
    template_url: str | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _service: EnvironmentService | None = field(default=None, init=False)
    _followers: StatusBroadcaster | None = field(default=None, init=False)

    @property
    def service(self) -> EnvironmentService:
        """An `EnvironmentService` that is connected to Temporal.

        Raises:
            TemporalUnreachableError: The server is not connected to Temporal yet. The server keeps trying to connect in
                the background.
        """
        if self._service is None:
            raise TemporalUnreachableError(
                "Cannot reach the Temporal server. byok tries again every few seconds; repeat the request in a moment."
            )
        return self._service

    @property
    def broadcaster(self) -> StatusBroadcaster:
        """The status broadcaster.

        Raises:
            TemporalUnreachableError: The server is not connected to Temporal yet.
        """
        if self._followers is None:
            self._followers = StatusBroadcaster(self.service, self.max_streams)
        return self._followers

    @property
    def page_token_signer(self) -> PageTokenSigner:
        """Signs page tokens."""
        return PageTokenSigner(self.secret)

    @property
    def challenge_signer(self) -> ChallengeSigner:
        """Issues and verifies the nonces with which organisations prove that they have credentials for an account."""
        return ChallengeSigner(self.secret)

    @property
    def sts_endpoints(self) -> frozenset[str]:
        """The STS endpoints to which byok sends customers' signed requests."""
        if self.local_aws is not None:
            return frozenset({self.local_aws})
        return list_sts_endpoints(partition_of_region(self.regions[0]))

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Connect to Temporal in the background, retrying until the connection succeeds, and ship the audit trail.

        Pages that do not need Temporal are served even before the connection succeeds.
        """
        tasks = [asyncio.create_task(self._keep_connecting())]
        if self.shipper is not None:
            tasks.append(asyncio.create_task(self.shipper.run()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            if self._followers is not None:
                self._followers.close()

    async def _keep_connecting(self) -> None:
        while self._service is None:
            try:
                self._service = await self.connect()
                self.opened.set()
            except ServiceError as error:
                log.warning("cannot reach temporal", reason=str(error))
                await asyncio.sleep(_TRY_AGAIN_SECONDS)
