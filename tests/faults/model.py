"""A model of an environment to which any operation may be applied at any time.

Each method performs an action of a user, a key administrator or the network. If byok wrongly refuses or wrongly
accepts the action, the method adds a defect to `verdict`.
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
from tests.faults.invariants import EnvironmentPast
from tests.key_faults import build_key_statements
from tests.localaws.server import REGION
from tests.requested_keys import keys_of

REST_TIMEOUT_SECONDS: Final = 120.0
"""The maximum duration of an operation. In these tests, every operation takes only seconds, but Temporal needs ten
seconds (`HEARTBEAT_TIMEOUT`) to notice that an activity has been abandoned."""
PROGRESS_TIMEOUT_SECONDS: Final = 40.0


class KeyBreakage(StrEnum):
    """The ways in which the key administrator can break a key."""

    DISABLED = "disabled"
    POLICY = "policy removed"


@dataclass
class CheckedEnvironment:
    """An environment, with the facts that determine what byok must accept and report.

    Attributes:
        verdict: The defects found so far.
        broken: The environment's keys that are unusable now.
        suspects: The keys that have been unusable at any time since the last operation began.
        doing: The last operation that has begun.
        cancelled: Whether the last operation has been cancelled.
        snapshots: The number of final snapshots that the last deletion must have left, or None if that number is
            unknown.
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
        """The environment's id."""
        return self.request.environment_id

    async def request_create(self) -> None:
        """Request the creation, which byok must reject only while the environment is being deleted."""
        before = await self.status()
        try:
            creation = await self.machine.service.create(self.request)
        except EnvironmentBusyError:
            self._check_refusal("create", before, as_it_should=_runs(before) and self.doing is RequestKind.DELETION)
            return
        if creation.started:
            await self._begin(RequestKind.ENVIRONMENT)

    async def request_replay(self) -> None:
        """Request a replay, which byok must reject unless the environment's provisioning has stopped."""
        before = await self.status()
        stopped = before is not None and before.phase is Phase.STOPPED and self.doing is RequestKind.ENVIRONMENT
        try:
            await self.machine.service.replay(self.name)
        except EnvironmentNotFoundError:
            self._check_refusal("replay", before, as_it_should=before is None)
        except NotReplayableError as error:
            self._check_refusal(f"replay ({error})", before, as_it_should=before is not None and not stopped)
        else:
            if not (stopped or _runs(before)):  # a running workflow may have stopped in the meantime
                self.verdict.lost.append(f"the replay was accepted, although the phase was {before and before.phase}")
            await self._begin(RequestKind.ENVIRONMENT)

    async def request_cancel(self) -> None:
        """Request a cancellation, which byok must reject if no operation is running."""
        before = await self.status()
        try:
            await self.machine.service.cancel(self.name)
        except EnvironmentNotFoundError:
            self._check_refusal("cancel", before, as_it_should=before is None)
        except NotRunningError:
            self._check_refusal("cancel", before, as_it_should=not _runs(await self.status()))
        else:
            self.cancelled = True

    async def request_delete(self, *, final_snapshot: bool) -> None:
        """Request the deletion, which byok must reject during provisioning and after a deletion."""
        before, service = await self.status(), self.machine.service
        snapshots = await asyncio.to_thread(self._snapshots_after, final_snapshot=final_snapshot)
        try:
            request = await service.build_delete_request(self.name, final_snapshot=final_snapshot)
            started = await service.delete(request.model_copy(update={"key_grace_seconds": 0}))
        except EnvironmentNotFoundError:
            self._check_refusal("delete", before, as_it_should=before is None)
        except EnvironmentNotReadyError as error:
            untold = _runs(before) and before is not None and before.region is None
            after = await self.status()  # a running deletion may have ended in the meantime
            deleted = after is not None and after.phase is Phase.DELETED
            self._check_refusal(f"delete ({error})", before, as_it_should=untold or deleted)
        except EnvironmentBusyError:
            self._check_refusal("delete", before, as_it_should=_runs(before) and self.doing is RequestKind.ENVIRONMENT)
        else:
            if started:
                await self._begin(RequestKind.DELETION)
                self.snapshots = None if _runs(before) else snapshots

    async def break_key(self, which: KeyPurpose, how: KeyBreakage) -> None:
        """Make one of the environment's keys unusable."""
        kms = self.machine.aws.customer_client("kms")
        if how is KeyBreakage.DISABLED:
            await asyncio.to_thread(kms.disable_key, KeyId=self.key_arn(which))
        else:
            await asyncio.to_thread(self._put_policy, which, [])
        self.broken.add(which)
        self.suspects.add(which)

    async def repair_key(self, which: KeyPurpose) -> None:
        """Make one of the environment's keys usable again."""
        await asyncio.to_thread(self.machine.aws.customer_client("kms").enable_key, KeyId=self.key_arn(which))
        await asyncio.to_thread(self._put_policy, which, build_key_statements(which))
        self.broken.discard(which)

    async def lose_answer(self, service: str, operation: str) -> None:
        """Make the local AWS emulator drop its response to the next call of this operation for the environment."""
        fault = {"service": service, "operation": operation, "kind": "lose_answer", "about": self.name}
        await asyncio.to_thread(self.machine.aws.call_control, "POST", "faults", **fault)

    async def wait_for_calls(self, calls: int) -> None:
        """Wait until the platform has made this many more calls for the environment.

        The wait also ends when no operation is running on the environment.
        """
        target, deadline = await self._calls() + calls, time.monotonic() + PROGRESS_TIMEOUT_SECONDS
        while _runs(await self.status()) and await self._calls() < target:
            if time.monotonic() > deadline:
                self.verdict.lost.append(f"it makes no progress: {await self.status()}")
                return
            await asyncio.sleep(0.02)

    async def check_now(self) -> None:
        """Check the invariants that hold in every state."""
        self.verdict.add(await invariants.check_in_progress(self.machine, self.request))

    async def wait_until_at_rest(self) -> EnvironmentStatus | None:
        """Wait until no operation is running on the environment, and check its state and its reported status."""
        if await self.status() is None:
            return None
        try:
            status = await self.machine.wait_until_ended(self.name, REST_TIMEOUT_SECONDS)
        except TimeoutError:
            self.verdict.lost.append(f"it did not stop or finish: {await self.status()}")
            return None
        if await asyncio.to_thread(invariants.has_cluster_lost_key, self.machine, self.request):
            self.suspects.add(KeyPurpose.RDS)
        past = EnvironmentPast(
            deletes=self.doing is RequestKind.DELETION,
            cancelled=self.cancelled,
            suspects=frozenset(self.suspects),
            readable=KeyPurpose.S3 not in self.broken,
            snapshots=self.snapshots,
        )
        self.verdict.add(await invariants.check_at_rest(self.machine, self.request, status, past))
        return status

    async def repair_and_finish(self) -> None:
        """Repair the keys and the cluster as the remedies describe, and finish the stopped operation, if any."""
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
            await self.request_delete(final_snapshot=True)
            wanted = Phase.DELETED
        else:
            await self.request_replay()
            wanted = Phase.READY
        ended = await self.wait_until_at_rest()
        self.verdict.expect("the phase after the repair", ended and ended.phase, wanted)

    async def status(self) -> EnvironmentStatus | None:
        """Return the environment's status, or None if the environment was never created."""
        try:
            return await self.machine.service.read_status(self.name)
        except EnvironmentNotFoundError:
            return None

    def key_arn(self, which: KeyPurpose) -> str:
        """Return the ARN of one of the environment's keys."""
        return dict(keys_of(self.request).items())[which]

    async def _begin(self, what: RequestKind) -> None:
        self.doing, self.cancelled, self.snapshots = what, False, None
        self.suspects = set(self.broken)
        if await asyncio.to_thread(invariants.has_cluster_lost_key, self.machine, self.request):
            self.suspects.add(KeyPurpose.RDS)

    async def _calls(self) -> int:
        """Count the calls that the platform has made for the environment."""
        calls = (await asyncio.to_thread(self.machine.aws.call_control, "GET", "calls"))["calls"]
        ours = [call for call in calls if "/AtaccamaPlatform/" in call["caller"]]
        return sum(any(self.name in value for value in call["params"].values()) for call in ours)

    def _snapshots_after(self, *, final_snapshot: bool) -> int:
        """Return the number of final snapshots that must exist after a deletion that begins now."""
        kept = len(self.machine.list_environment_snapshots(self.request.environment_id))
        there = [one for one in self.machine.list_environment_clusters(self.name) if one["Status"] != "deleting"]
        return kept + (1 if final_snapshot and there else 0)

    def _put_policy(self, which: KeyPurpose, own: list[dict[str, Any]]) -> None:
        policy = build_default_policy(CUSTOMER_ACCOUNT, REGION)
        policy["Statement"] += own
        self.machine.aws.customer_client("kms").put_key_policy(KeyId=self.key_arn(which), Policy=json.dumps(policy))

    def _check_refusal(self, what: str, before: EnvironmentStatus | None, *, as_it_should: bool) -> None:
        if not as_it_should:
            where = before.model_dump_json() if before else "none"
            self.verdict.lost.append(f"refused: {what}; last operation: {self.doing}; status before: {where}")


def _runs(status: EnvironmentStatus | None) -> bool:
    return status is not None and not status.phase.is_final
