"""Web servers for the journeys, on a stack of real processes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    StartWorkflowUpdateWithStartInput,
    WorkflowHandle,
    WorkflowUpdateHandle,
)

from byok.api.authentication import Authenticator
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.local.ports import HOST
from byok.service.environments import EnvironmentService
from byok.temporal import make_plugin
from tests.api.conftest import open_api_state
from tests.api.test_server import run_server
from tests.e2e.conftest import StackHarness
from tests.localaws.server import REGION


@asynccontextmanager
async def run_web_server(web: StackHarness, access: Authenticator, data: Path) -> AsyncIterator[str]:
    """Run a web server for the stack, and yield the server's URL.

    Requests through this server have no grace period for denied calls.
    """
    address, settings = f"{HOST}:{web.stack.ports.temporal}", ApiSettings(requests_per_minute=100_000)
    client = await Client.connect(address, plugins=[make_plugin()], interceptors=[_NoGrace()])
    journal = AuditJournal(data)
    role_arn = web.stack.environment["BYOK_PLATFORM_ROLE_ARN"]
    opening = open_api_state(
        EnvironmentService(client), access, settings, journal, (REGION, "us-east-1"), role_arn=role_arn
    )
    async with opening as state, run_server(state, settings) as http:
        yield str(http.base_url).rstrip("/")
    journal.close()


class _NoGrace(Interceptor):
    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _NoGraceOutbound(super().intercept_client(next))


class _NoGraceOutbound(OutboundInterceptor):
    """Sets the grace period of each new environment and key check to 0, so that a denied call is reported at once."""

    async def start_workflow(self, input: StartWorkflowInput) -> WorkflowHandle[Any, Any]:
        input.args = _without_grace(input.args)
        return await super().start_workflow(input)

    async def start_update_with_start_workflow(
        self,
        input: StartWorkflowUpdateWithStartInput,
    ) -> WorkflowUpdateHandle[Any]:
        start = input.start_workflow_input
        start.args = _without_grace(start.args)
        return await super().start_update_with_start_workflow(input)


def _without_grace(arguments: Any) -> list[Any]:
    return [
        one.model_copy(update={"key_grace_seconds": 0}) if hasattr(one, "key_grace_seconds") else one
        for one in arguments
    ]
