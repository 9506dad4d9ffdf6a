"""Start, supervise and stop the local stack: Temporal, a local AWS emulator, a worker, and the web server.

    async with DevStack(Path(".byok"), Ports()) as stack:
        service = await stack.connect_service()

`byok.local.processes` manages a single child process; `byok.local.customer_keys` creates the customer's keys.
"""

import asyncio
import fcntl
import json
import shutil
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from temporalio.client import Client

from byok.domain.arns import role_arn_of_session
from byok.domain.vendor import VendorProfile
from byok.local.customer_keys import Customer
from byok.local.env_vars import (
    CUSTOMER_PROFILE,
    PLATFORM_PROFILE,
    children_env_vars,
    client_env_vars,
    remove_exports,
    write_exports,
)
from byok.local.ports import HOST, Ports
from byok.local.processes import ChildProcess, DevStackError
from byok.local.programs import PROGRAMS_ROOT
from byok.local.temporal_server import build_server_command
from byok.service.environments import EnvironmentService
from byok.temporal import make_plugin

REGION: Final = "eu-central-1"
KEY_PAIR_NAME: Final = "local"
"""The name of the ready-made pair of keys."""

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 5.0
_SEEN_SECONDS: Final = 90.0
"""The timeout for a new worker. Temporal lists some workers only a minute after their first poll."""

Say = Callable[[str], None]


class DevStack:
    """The whole stack on one machine, as an async context manager.

    Args:
        data: Folder for state and logs. The state is kept for the next stack that uses this folder.
        ports: The ports to listen on, all on 127.0.0.1.
        worker: Whether to run a worker.
        web: Whether to run the web server (wizard and HTTP API).
        database_seconds: How long the local AWS emulator takes to create a cluster or an instance.
        settings: Additional environment variables for the child processes.
        vendor: The vendor's names, which the key policies contain.
        exports: File that contains `environment` as shell exports. The file exists only while the whole stack is
            running.
        say: Called with each message for the user.
    """

    def __init__(
        self,
        data: Path,
        ports: Ports,
        *,
        worker: bool = True,
        web: bool = False,
        database_seconds: float = 3.0,
        settings: Mapping[str, str] | None = None,
        vendor: VendorProfile = VendorProfile(),  # noqa: B008 - the default is frozen
        exports: Path | None = None,
        say: Say = lambda _: None,
    ) -> None:
        self.data = data.absolute()
        self.ports = ports
        self.environment: dict[str, str] = {}
        self.hurry = asyncio.Event()
        self.children: dict[str, ChildProcess] = {}
        self._aws_config = self.data / "aws-config"
        self._with_worker = worker
        self._with_web = web
        self._database_seconds = database_seconds
        self.settings = dict(settings or {})
        self._vendor = vendor
        self._exports = exports
        self._say = say
        self._lock: IO[str] | None = None
        self._customer: Customer | None = None

    async def __aenter__(self) -> Self:
        """Start everything.

        Raises:
            DevStackError: A port or the folder is in use, or a process did not start. All child processes that had
                started are stopped.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every child process."""
        await self.stop()

    @property
    def aws_url(self) -> str:
        """Return the local AWS emulator's endpoint."""
        return f"http://{HOST}:{self.ports.aws}"

    @property
    def ui_url(self) -> str:
        """Return the URL of Temporal's UI."""
        return f"http://{HOST}:{self.ports.ui}"

    @property
    def web_url(self) -> str:
        """Return the URL of the wizard and the HTTP API."""
        return f"http://{HOST}:{self.ports.web}"

    @property
    def customer(self) -> Customer:
        """Return the customer, who owns the keys.

        Raises:
            DevStackError: The stack is not running.
        """
        if self._customer is None:
            raise DevStackError("The local stack is not running.")
        return self._customer

    async def connect_client(self) -> Client:
        """Connect to this stack's Temporal, regardless of environment variables."""
        return await Client.connect(f"{HOST}:{self.ports.temporal}", plugins=[make_plugin()])

    async def connect_service(self) -> EnvironmentService:
        """Connect an `EnvironmentService` to this stack's Temporal."""
        return EnvironmentService(await self.connect_client())

    def make_boto3_client(self, service: str, profile: str = PLATFORM_PROFILE) -> Any:
        """Return a boto3 client for the local AWS emulator that ignores environment variables."""
        import boto3
        import botocore.session

        core = botocore.session.Session(profile=profile)
        core.set_config_variable("config_file", self.environment["AWS_CONFIG_FILE"])
        core.set_config_variable("credentials_file", self.environment["AWS_SHARED_CREDENTIALS_FILE"])
        session = boto3.Session(botocore_session=core, region_name=REGION)
        return session.client(service, endpoint_url=self.aws_url)  # type: ignore[call-overload]

    async def start_worker(self, name: str = "worker") -> None:
        """Start a worker, and wait until it polls for work. Each additional worker needs a different name."""
        worker = self.children[name] = await self._child(name, sys.executable, str(PROGRAMS_ROOT / "worker.py"))
        service = await self.connect_service()

        async def polls() -> bool:
            # Sometimes the server lists a worker only after the worker's second poll, a minute after the first poll.
            # The worker's log shows the start immediately, unless the log level hides this event.
            if worker.has_printed("worker_started"):
                return True
            # A worker's identity consists of its process id and host, so an earlier worker has a different identity.
            return any(found.identity.startswith(f"{worker.pid}@") for found in await service.list_workers())

        await worker.wait_until_ready(polls, _SEEN_SECONDS)

    async def restart_worker(self, *, kill: bool = False) -> None:
        """Stop the worker, gracefully or with SIGKILL, and start another one."""
        worker = self.children["worker"]
        await (worker.kill() if kill else worker.stop(_START_SECONDS, self.hurry))
        await self.start_worker()

    async def restart_temporal(self, *, kill: bool = False) -> None:
        """Stop Temporal, gracefully or with SIGKILL, and start it again with the same data."""
        temporal = self.children["temporal"]
        await (temporal.kill() if kill else temporal.stop(_START_SECONDS, self.hurry))
        await self._start_temporal(self.data / "temporal.db")

    async def stop_aws(self) -> None:
        """Stop the local AWS emulator, which saves its state when it stops."""
        await self.children["local-aws"].stop(_START_SECONDS, self.hurry)

    async def start_aws(self) -> None:
        """Start the local AWS emulator again, with its saved state.

        Raises:
            DevStackError: The local AWS emulator could not load its saved state.
        """
        lost = await self._start_aws()
        if lost:
            raise DevStackError(f"The local AWS emulator has lost its state: {lost}.")

    async def wait_for_unexpected_exit(self) -> None:
        """Wait until a child process exits unexpectedly.

        Raises:
            DevStackError: A child process exited. The message contains the last lines of its output.
        """
        waiting = {asyncio.create_task(child.process.wait()): child for child in self.children.values()}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        raise waiting[done.pop()].exited_error()

    async def stop(self) -> None:
        """Stop every child process. The workers stop first, so that they can return unfinished work to Temporal."""
        if self._exports is not None and self._lock is not None:
            remove_exports(self._exports)
        for name in [name for name in self.children if name.startswith("worker")]:
            await self.children.pop(name).stop(_STOP_SECONDS, self.hurry)
        await asyncio.gather(*(child.stop(_STOP_SECONDS, self.hurry) for child in self.children.values()))
        self.children.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _start(self) -> None:
        self.ports.require_free()
        self._claim_folder()
        self.environment = client_env_vars(self.ports, self._aws_config, REGION)
        database = self.data / "temporal.db"
        if not database.exists():
            # Delete the state of the local AWS emulator, because Temporal has no record of the environments in it.
            shutil.rmtree(self.data / "aws", ignore_errors=True)
            await asyncio.gather(self._start_aws(), self._start_temporal(database))
        else:
            if lost := await self._start_aws():
                for file in self.data.glob("temporal.db*"):
                    file.unlink()
                self._say(
                    f"The local AWS emulator could not load its state ({lost}), "
                    "so Temporal also starts with an empty state."
                )
            await self._start_temporal(database)
        await asyncio.to_thread(self._find_platform_role)
        starting = [self.start_worker()] if self._with_worker else []
        await asyncio.gather(*starting, *([self._start_web()] if self._with_web else []))
        if self._exports is not None:
            write_exports(self._exports, self.environment)

    async def _start_aws(self) -> str | None:
        """Start the local AWS emulator.

        Returns:
            The reason why the emulator could not load its saved state; None if it loaded the state.
        """
        command = ["-m", "localaws", "--port", str(self.ports.aws), "--data", str(self.data / "aws")]
        command += ["--database-seconds", str(self._database_seconds), "--config-dir", str(self._aws_config)]
        # If this process is killed, the local AWS emulator receives SIGTERM, so that it can save its state.
        path = {"PYTHONPATH": str(PROGRAMS_ROOT)}
        aws = await self._child("local-aws", sys.executable, *command, settings=path, when_orphaned=signal.SIGTERM)
        self.children["local-aws"] = aws
        health: dict[str, Any] = {}

        async def answers() -> bool:
            health.update(await asyncio.to_thread(_get_json, f"{self.aws_url}/_localaws/health"))
            return True

        await aws.wait_until_ready(answers, _START_SECONDS)
        return str(health.get("reason") or "no state was saved") if health.get("fresh") else None

    async def _start_temporal(self, database: Path) -> None:
        temporal = self.children["temporal"] = await self._child(
            "temporal", *build_server_command(self.ports, database)
        )

        async def answers() -> bool:
            client = await self.connect_client()
            return await client.service_client.check_health()

        await temporal.wait_until_ready(answers, _START_SECONDS)

    async def _start_web(self) -> None:
        command = ["-m", "byok", "web", "--host", HOST, "--port", str(self.ports.web)]
        web = self.children["web"] = await self._child("web", sys.executable, *command)

        async def answers() -> bool:
            await asyncio.to_thread(_get_json, f"{self.web_url}/health")
            return True

        await web.wait_until_ready(answers, _START_SECONDS)

    async def _child(
        self,
        name: str,
        *command: str,
        settings: Mapping[str, str] | None = None,
        when_orphaned: signal.Signals = signal.SIGKILL,
    ) -> ChildProcess:
        environment = children_env_vars(self.environment, {**self.settings, **(settings or {})})
        log = self.data / "logs" / f"{name}.log"
        return await ChildProcess.start(name, command, log, environment, when_orphaned=when_orphaned)

    def _find_platform_role(self) -> None:
        """Find the platform role, and ensure that the customer has a pair of keys."""
        caller = self.make_boto3_client("sts").get_caller_identity()["Arn"]
        role = role_arn_of_session(caller)
        if role is None:
            raise DevStackError(
                f"The profile {PLATFORM_PROFILE} of the local AWS emulator must act as a role, but acts as {caller}."
            )
        kms, stacks = (self.make_boto3_client(service, CUSTOMER_PROFILE) for service in ("kms", "cloudformation"))
        self._customer = Customer(kms, stacks, role, REGION, self._vendor)
        pair = self._customer.ensure_key_pair(KEY_PAIR_NAME)
        keys = {"S3_KEY_ARN": pair.s3_key_arn, "RDS_KEY_ARN": pair.rds_key_arn}
        audit = {"BYOK_AUDIT__DIRECTORY": str((self.data / "audit").absolute())}
        self.environment |= {"BYOK_PLATFORM_ROLE_ARN": role, **keys, **audit}

    def _claim_folder(self) -> None:
        """Lock the folder for this stack, and remove old logs.

        Raises:
            DevStackError: Another stack uses the folder.
        """
        logs = self.data / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        lock = (self.data / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise DevStackError(
                f"The folder {self.data} is in use by another `byok up`. Choose another folder with --data."
            ) from error
        self._lock = lock
        for log in logs.glob("*.log"):
            log.unlink()
        if self._exports is not None:  # a process that was killed might have left an exports file
            remove_exports(self._exports)


def _get_json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - an http URL of this stack
        content: dict[str, Any] = json.load(answer)
        return content
