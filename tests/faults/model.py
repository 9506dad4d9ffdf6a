"""An environment with which anything may be done at any time, and what has to come of it.

Each method does one thing that a person, a key's administrator or the network does, and notes in a verdict where it is
refused and should not be, or is done and should not be.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from byok.domain.arns import KeyPurpose
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase, RequestKind
from byok.service.errors import (
    EnvironmentBusyError,
    EnvironmentNotFoundError,
    EnvironmentNotReadyError,
    NotReplayableError,
    NotRunningError,
)
from byok.service.status import EnvironmentStatus
from localaws.kms.policies import build_default_policy
from localaws.state import CUSTOMER_ACCOUNT
from tests.e2e.conftest import StackHarness
from tests.faults import invariants
from tests.faults.checker import Verdict
from tests.faults.invariants import EnvironmentHistory
from tests.key_faults import build_key_statements
from tests.localaws.server import REGION

REST_TIMEOUT_SECONDS: Final = 120.0
"""Everything takes seconds here; what nobody works on is noticed after ten (`HEARTBEAT_TIMEOUT`)."""
PROGRESS_TIMEOUT_SECONDS: Final = 40.0


class KeyBreakage(StrEnum):
    """What the owner of a key may do to it."""

    DISABLED = "disabled"
    POLICY = "policy removed"


@dataclass
class EnvironmentModel:
    """One environment.

    Attributes:
        verdict: What was found wrong so far.
        broken: Its keys that cannot be used now.
        suspects: Those that could not at any moment since the last thing was begun.
        doing: What was begun last.
        cancelled: Whether its end was asked for since.
        snapshots: How many final snapshots the deletion that was begun last has to leave; None where it is not known.
    """

    machine: StackHarness
    request: ProvisionRequest
    verdict: Verdict
    broken: set[KeyPurpose] = field(default_factory=set)
    suspects: set[KeyPurpose] = field(default_factory=set)
    doing: RequestKind | None = None
    cancelled: bool = False
    snapshots: int | None = None

    @property
    def name(self) -> str:
        """Its id."""
        return self.request.environment_id

    async def create(self) -> None:
        """Ask for it: refused while it is being deleted, and at no other time."""
        before = await self.status()
        try:
            creation = await self.machine.service.create(self.request)
        except EnvironmentBusyError:
            self._check_refusal("create", before, as_it_should=_runs(before) and self.doing is RequestKind.DELETION)
            return
        if creation.started:
            await self._begin(RequestKind.ENVIRONMENT)

    async def replay(self) -> None:
        """Replay it: refused unless it is a provisioning that has stopped."""
        before = await self.status()
        stopped = before is not None and before.phase is Phase.STOPPED and self.doing is RequestKind.ENVIRONMENT
        try:
            await self.machine.service.replay(self.name)
        except EnvironmentNotFoundError:
            self._check_refusal("replay", before, as_it_should=before is None)
        except NotReplayableError as error:
            self._check_refusal(f"replay ({error})", before, as_it_should=before is not None and not stopped)
        else:
            if not (stopped or _runs(before)):  # it may have stopped meanwhile
                self.verdict.lost.append(f"it was replayed, although it was {before and before.phase}")
            await self._begin(RequestKind.ENVIRONMENT)

    async def cancel(self) -> None:
        """Ask for the end of what is being done: refused where nothing is."""
        before = await self.status()
        try:
            await self.machine.service.cancel(self.name)
        except EnvironmentNotFoundError:
            self._check_refusal("cancel", before, as_it_should=before is None)
        except NotRunningError:
            self._check_refusal("cancel", before, as_it_should=not _runs(await self.status()))
        else:
            self.cancelled = True

    async def delete(self, *, final_snapshot: bool) -> None:
        """Delete it: refused while it is being made, and where it was deleted already."""
        before, service = await self.status(), self.machine.service
        snapshots = await asyncio.to_thread(self._snapshots_after, final_snapshot=final_snapshot)
        try:
            request = await service.build_delete_request(self.name, final_snapshot=final_snapshot)
            started = await service.delete(request.model_copy(update={"key_grace_seconds": 0}))
        except EnvironmentNotFoundError:
            self._check_refusal("delete", before, as_it_should=before is None)
        except EnvironmentNotReadyError as error:
            untold = _runs(before) and before is not None and before.region is None
            after = await self.status()  # a deletion that was going on may have ended meanwhile
            deleted = after is not None and after.phase is Phase.DELETED
            self._check_refusal(f"delete ({error})", before, as_it_should=untold or deleted)
        except EnvironmentBusyError:
            self._check_refusal("delete", before, as_it_should=_runs(before) and self.doing is RequestKind.ENVIRONMENT)
        else:
            if started:
                await self._begin(RequestKind.DELETION)
                self.snapshots = None if _runs(before) else snapshots

    async def break_key(self, which: KeyPurpose, how: KeyBreakage) -> None:
        """Make a key unusable."""
        kms = self.machine.aws.customer_client("kms")
        if how is KeyBreakage.DISABLED:
            await asyncio.to_thread(kms.disable_key, KeyId=self.key_arn(which))
        else:
            await asyncio.to_thread(self._put_policy, which, [])
        self.broken.add(which)
        self.suspects.add(which)

    async def repair_key(self, which: KeyPurpose) -> None:
        """Make it usable again."""
        await asyncio.to_thread(self.machine.aws.customer_client("kms").enable_key, KeyId=self.key_arn(which))
        await asyncio.to_thread(self._put_policy, which, build_key_statements(which))
        self.broken.discard(which)

    async def lose_answer(self, service: str, operation: str) -> None:
        """Let the answer to its next call of a kind be lost."""
        fault = {"service": service, "operation": operation, "kind": "lose_answer", "about": self.name}
        await asyncio.to_thread(self.machine.aws.call_control, "POST", "faults", **fault)

    async def wait_for_calls(self, calls: int) -> None:
        """Wait until so many more calls were made for it, or it has come to rest."""
        target, deadline = await self._calls() + calls, time.monotonic() + PROGRESS_TIMEOUT_SECONDS
        while _runs(await self.status()) and await self._calls() < target:
            if time.monotonic() > deadline:
                self.verdict.lost.append(f"it does not go on: {await self.status()}")
                return
            await asyncio.sleep(0.02)

    async def check_now(self) -> None:
        """See that nothing is wrong, wherever it is."""
        self._add(await invariants.check_in_progress(self.machine, self.request))

    async def wait_until_at_rest(self) -> EnvironmentStatus | None:
        """Wait until it has come to rest, and see that all is right and told truly."""
        if await self.status() is None:
            return None
        try:
            status = await self.machine.wait_until_ended(self.name, REST_TIMEOUT_SECONDS)
        except TimeoutError:
            self.verdict.lost.append(f"it never came to rest: {await self.status()}")
            return None
        if await asyncio.to_thread(invariants.has_cluster_lost_key, self.machine, self.request):
            self.suspects.add(KeyPurpose.RDS)
        past = EnvironmentHistory(
            deletes=self.doing is RequestKind.DELETION,
            cancelled=self.cancelled,
            suspects=frozenset(self.suspects),
            readable=KeyPurpose.S3 not in self.broken,
            snapshots=self.snapshots,
        )
        self._add(await invariants.check_at_rest(self.machine, self.request, status, past))
        return status

    async def repair_and_finish(self) -> None:
        """Repair what is broken as the remedies say, and ask again for what had stopped: it is finished now."""
        await self.wait_until_at_rest()
        for which in KeyPurpose:
            await self.repair_key(which)
        if await asyncio.to_thread(
            invariants.has_cluster_lost_key, self.machine, self.request
        ):  # Remedy.CLUSTER_LOST_KEY
            rds = self.machine.aws.operator_client("rds")
            await asyncio.to_thread(rds.start_db_cluster, DBClusterIdentifier=f"byok-{self.name}")
        self.suspects.clear()
        status = await self.status()
        if status is None or status.phase is not Phase.STOPPED or not self.verdict.survived:
            return
        if self.doing is RequestKind.DELETION:
            await self.delete(final_snapshot=True)
            wanted = Phase.DELETED
        else:
            await self.replay()
            wanted = Phase.READY
        ended = await self.wait_until_at_rest()
        self.verdict.expect("the end of what was put right", ended and ended.phase, wanted)

    async def status(self) -> EnvironmentStatus | None:
        """What is told of it; None where it was never asked for."""
        try:
            return await self.machine.service.read_status(self.name)
        except EnvironmentNotFoundError:
            return None

    def key_arn(self, which: KeyPurpose) -> str:
        """One of its keys."""
        return self.request.s3_key_arn if which is KeyPurpose.S3 else self.request.rds_key_arn

    async def _begin(self, what: RequestKind) -> None:
        self.doing, self.cancelled, self.snapshots = what, False, None
        self.suspects = set(self.broken)
        if await asyncio.to_thread(invariants.has_cluster_lost_key, self.machine, self.request):
            self.suspects.add(KeyPurpose.RDS)

    async def _calls(self) -> int:
        """How many calls the platform has made for it."""
        calls = (await asyncio.to_thread(self.machine.aws.call_control, "GET", "calls"))["calls"]
        ours = [call for call in calls if "/AtaccamaPlatform/" in call["caller"]]
        return sum(any(self.name in value for value in call["params"].values()) for call in ours)

    def _snapshots_after(self, *, final_snapshot: bool) -> int:
        """How many final snapshots there have to be after a deletion that begins now."""
        kept = len(invariants.list_snapshots(self.machine, self.request))
        there = [one for one in self.machine.list_clusters(self.name) if one["Status"] != "deleting"]
        return kept + (1 if final_snapshot and there else 0)

    def _put_policy(self, which: KeyPurpose, own: list[dict[str, Any]]) -> None:
        policy = build_default_policy(CUSTOMER_ACCOUNT, REGION)
        policy["Statement"] += own
        self.machine.aws.customer_client("kms").put_key_policy(KeyId=self.key_arn(which), Policy=json.dumps(policy))

    def _check_refusal(self, what: str, before: EnvironmentStatus | None, *, as_it_should: bool) -> None:
        if not as_it_should:
            where = before.model_dump_json() if before else "none"
            self.verdict.lost.append(f"refused: {what}; {self.doing} was asked for, and before that it was {where}")

    def _add(self, found: Verdict) -> None:
        self.verdict.lost += found.lost
        self.verdict.doubled += found.doubled


def _runs(status: EnvironmentStatus | None) -> bool:
    return status is not None and not status.phase.is_final
