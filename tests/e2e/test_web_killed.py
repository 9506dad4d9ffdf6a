"""A web server is killed while it creates an environment or validates keys.

After the server has been started again, the user repeats the request. There is one environment, and no entry is lost.
"""

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final, Literal

import httpx
import pytest
from playwright.async_api import Browser, Error, Page, expect
from temporalio.service import RPCError

from byok import contracts
from byok.domain.models import CheckKeysRequest
from byok.domain.phases import Phase
from byok.local.env_vars import children_env_vars
from byok.local.ports import HOST, Ports
from byok.local.processes import ChildProcess
from tests.e2e.conftest import StackHarness
from tests.localaws.server import REGION
from tests.requested_keys import keys_of
from tests.wizard.chromium import TIMEOUT_MS

SECRET: Final = "a-secret-of-more-than-thirty-two-characters"
SLOW: Final = 0.3
"""How many seconds a slow connection delays each response. The server is killed within this time."""

Moment = Literal["before Temporal gets the request", "after Temporal got the request"]
BEFORE, AFTER = Moment.__args__  # type: ignore[attr-defined]


@dataclass
class TemporalConnection:
    """A TCP proxy between a web server and Temporal.

    Attributes:
        port: The port of Temporal.
        is_open: Whether the proxy forwards requests.
        was_used: Set when a request arrives while the proxy is closed.
        delay: How many seconds the proxy delays each response.
    """

    port: int
    address: str = ""
    is_open: asyncio.Event = field(default_factory=asyncio.Event)
    was_used: asyncio.Event = field(default_factory=asyncio.Event)
    delay: float = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward both directions of a connection."""
        there, to_there = await asyncio.open_connection(HOST, self.port)
        await asyncio.gather(self._send_requests(reader, to_there), self._send_responses(there, writer))

    async def _send_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65_536):
                if not self.is_open.is_set():
                    self.was_used.set()
                    return  # the server is killed, so no process waits for the response
                writer.write(data)

    async def _send_responses(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65_536):
                await asyncio.sleep(self.delay)
                writer.write(data)


@dataclass
class KilledServer:
    """A web server that a test kills and starts again.

    Attributes:
        secret: The session secret, or "" if the server generates its own secret.
    """

    web: StackHarness
    temporal: TemporalConnection
    secret: str
    port: int = field(default_factory=lambda: Ports.pick_free().web)
    process: ChildProcess | None = None

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        """Start the server, and wait until it is connected to Temporal."""
        self.temporal.is_open.set()
        self.temporal.delay = 0.0
        settings = {"TEMPORAL_ADDRESS": self.temporal.address, "BYOK_API__TEMPORAL_TIMEOUT_SECONDS": "20"}
        settings |= {"BYOK_API__SESSION_SECRET": self.secret} if self.secret else {}
        self.process = await ChildProcess.start(
            "killed-web",
            (sys.executable, "-m", "byok", "web", "--port", str(self.port)),
            self.web.stack.data / "logs" / "killed-web.log",
            children_env_vars(self.web.stack.environment, settings),
        )
        async with httpx.AsyncClient(base_url=self.url) as http:

            async def answers() -> bool:
                try:
                    return (await http.get("/ready")).is_success
                except httpx.TransportError:
                    return False

            await self.process.wait_until_ready(answers, 30)

    async def kill_during(self, page: Page, button: str, moment: Moment, workflow_id: str) -> None:
        """Select a button, and kill the server while it handles the request."""
        assert self.process is not None
        if moment == BEFORE:
            self.temporal.was_used.clear()
            self.temporal.is_open.clear()
        else:
            self.temporal.delay = SLOW
        clicked = asyncio.create_task(page.get_by_role("button", name=button).click())
        async with asyncio.timeout(30):
            if moment == BEFORE:
                await self.temporal.was_used.wait()
            else:
                await wait_until_started(self.web, workflow_id)
        await self.process.kill()
        with contextlib.suppress(Error):  # without a script, the browser shows its own error page
            await clicked


async def wait_until_started(web: StackHarness, workflow_id: str) -> None:
    handle = web.service.client.get_workflow_handle(workflow_id)
    while True:
        with contextlib.suppress(RPCError):
            await handle.describe()
            return


@contextlib.asynccontextmanager
async def run_killed_server(web: StackHarness, secret: str = SECRET) -> AsyncIterator[KilledServer]:
    """Run a web server that a test can kill, until the end of the block."""
    temporal = TemporalConnection(web.stack.ports.temporal)
    proxy = await asyncio.start_server(temporal.serve, HOST, 0)
    temporal.address = f"{HOST}:{proxy.sockets[0].getsockname()[1]}"
    server = KilledServer(web, temporal, secret)
    try:
        await server.start()
        yield server
    finally:
        if server.process is not None:
            await server.process.kill()
        proxy.close()


@contextlib.asynccontextmanager
async def open_keys_step(
    chromium: Browser, server: KilledServer, request: CheckKeysRequest, *, script: bool
) -> AsyncIterator[Page]:
    """Open the step *Encryption at rest*, and enter both ARNs."""
    context = await chromium.new_context(java_script_enabled=script)
    page = await context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    await page.goto(f"{server.url}/new")
    await page.get_by_label("Environment name").fill(request.environment_id or "")
    await page.get_by_label("AWS Region").select_option(REGION)
    await page.get_by_role("button", name="Next: Encryption at rest").click()
    await page.get_by_label("S3 key ARN").fill(request.s3_key_arn)
    await page.get_by_label("RDS key ARN").fill(request.rds_key_arn)
    yield page
    await context.close()


def build_check_request(web: StackHarness) -> CheckKeysRequest:
    """Build the request that the wizard sends if the user validates two new keys."""
    name = f"killed-{uuid.uuid4().hex[:8]}"
    keys = keys_of(web.build_request(environment_id=name))
    return CheckKeysRequest(
        region=REGION,
        s3_key_arn=keys.s3_key_arn,
        rds_key_arn=keys.rds_key_arn,
        profile="",
        environment_id=name,
        prove_aurora_key=True,
    )


async def press_again(page: Page, button: str, *, script: bool) -> None:
    """Repeat the request: with the button or, if the browser shows its own error page, with a reload."""
    if script:
        await expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached. Your entries are kept.")
        await page.get_by_role("button", name=button).click()
    else:
        await page.reload()


async def expect_one_environment(web: StackHarness, name: str) -> None:
    assert (await web.wait_until_ended(name)).phase is Phase.READY
    assert len(await web.service.list_attempts(await web.service.read_status(name))) == 1
    assert len(await asyncio.to_thread(web.list_environment_clusters, name)) == 1


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
async def test_request_to_create_is_repeated_after_the_server_was_killed(
    web: StackHarness, chromium: Browser, *, script: bool
) -> None:
    asked = build_check_request(web)
    name = asked.environment_id or ""
    async with run_killed_server(web) as server, open_keys_step(chromium, server, asked, script=script) as page:
        await page.get_by_role("button", name="Next: Review").last.click()
        await page.get_by_label("Create this environment").check()
        await server.kill_during(page, "Create environment", AFTER, contracts.environment_workflow_id(name))
        await server.start()

        await press_again(page, "Create environment", script=script)

        await expect(page.get_by_role("heading", level=1)).to_have_text(name)
        await expect(page.get_by_role("alert")).to_be_hidden()
        await expect_one_environment(web, name)


@pytest.mark.parametrize(("moment", "script"), [(AFTER, True), (BEFORE, False)], ids=["after", "before-no-script"])
async def test_request_to_validate_is_repeated_after_the_server_was_killed(
    web: StackHarness, chromium: Browser, moment: Moment, *, script: bool
) -> None:
    asked = build_check_request(web)
    async with run_killed_server(web) as server, open_keys_step(chromium, server, asked, script=script) as page:
        await server.kill_during(page, "Validate keys", moment, contracts.key_check_workflow_id(asked))
        await server.start()

        await press_again(page, "Validate keys", script=script)

        await expect(page.get_by_role("heading", name="Both keys are verified")).to_be_visible()
        await expect(page.get_by_label("S3 key ARN")).to_have_value(asked.s3_key_arn)
        await expect(page.get_by_label("RDS key ARN")).to_have_value(asked.rds_key_arn)


async def test_new_session_secret_leads_to_the_entries_and_to_the_environment(
    web: StackHarness, chromium: Browser
) -> None:
    """The server generates its own session secret, so that it does not accept forms from before the restart."""
    asked = build_check_request(web)
    name = asked.environment_id or ""
    async with run_killed_server(web, "") as server, open_keys_step(chromium, server, asked, script=True) as page:
        await page.get_by_role("button", name="Next: Review").last.click()
        await page.get_by_label("Create this environment").check()
        await server.kill_during(page, "Create environment", BEFORE, "")
        await server.start()
        await press_again(page, "Create environment", script=True)
        await expect(page.get_by_text("the server has been restarted")).to_be_visible()
        await page.get_by_role("link", name="Open the page again").click()
        for arn in (asked.s3_key_arn, asked.rds_key_arn):
            await expect(page.get_by_text(arn)).to_be_visible()

        await page.get_by_label("Create this environment").check()
        await server.kill_during(page, "Create environment", AFTER, contracts.environment_workflow_id(name))
        await server.start()
        await press_again(page, "Create environment", script=True)
        await page.get_by_role("link", name="Open the page again").click()
        await expect(page.get_by_text(f"The environment {name} already exists.")).to_be_visible()
        await page.get_by_role("link", name=f"Open {name}").click()
        await expect_one_environment(web, name)
