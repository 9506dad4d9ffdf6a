"""The scenarios for fault injection: an environment is provisioned, rolled back or deleted.

To find the calls at which faults can be injected, the tests run each scenario once without faults and read the recorded
calls.
"""

import asyncio
import uuid
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from byok.domain.arns import parse_key_arn
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus
from tests.e2e.conftest import StackHarness
from tests.faults import checker
from tests.faults.checker import Verdict
from tests.localaws.server import REGION
from tests.requested_keys import keys_of

_READS: Final = ("Describe", "Get", "Head", "List", "Assume")
_LAST_WRITE: Final = ("s3", "PutObject", "{env}-quality-", 1)
"""The call at which the rollback scenario fails. When this call fails, a cluster and a bucket with an object exist, so
the rollback removes every kind of resource."""


class Scenario(StrEnum):
    """The operations that the fault tests cover."""

    PROVISION = "provision, with a tenant name"
    ROLL_BACK = "roll back"
    DELETE = "delete, with a final snapshot"


@dataclass(frozen=True)
class CallSite:
    """A call that byok makes in a scenario.

    Attributes:
        about: The placeholder for the part of the resource's name that identifies the run: `{env}`, `{s3}` or `{rds}`.
        number: The number of earlier calls in the run that have the same operation and the same `about`.
    """

    service: str
    operation: str
    about: str
    number: int

    def build_fault(self, run: "ScenarioRun", kind: str, **more: Any) -> dict[str, Any]:
        """Build the fault that the local AWS emulator must inject into this call in the given run."""
        return {
            "service": self.service,
            "operation": self.operation,
            "kind": kind,
            "about": run.fill_placeholders(self.about),
            "after_calls": self.number,
            **more,
        }

    def __str__(self) -> str:
        return f"{self.service}:{self.operation} {self.about} #{self.number + 1}"


@dataclass
class ScenarioRun:
    """One run of a scenario, with one environment.

    Attributes:
        since: The number that the local AWS emulator assigned to the last call before the scenario began.
    """

    machine: StackHarness
    course: Scenario
    request: ProvisionRequest
    since: int = 0

    @classmethod
    async def prepare(cls, machine: StackHarness, course: Scenario, *, names_keys: bool = True) -> "ScenarioRun":
        """Create a pair of keys, and everything else that must exist before the scenario begins.

        Args:
            machine: The stack.
            course: The scenario to prepare.
            names_keys: Whether provisioning also sets a tenant name on the keys. If so, `prepare` needs a worker.
        """
        name, customer = f"f-{uuid.uuid4().hex[:10]}", machine.stack.customer
        pair = await asyncio.to_thread(customer.ensure_key_pair, name)
        values: dict[str, Any] = {
            "environment_id": name,
            "region": REGION,
            "s3_key_arn": pair.s3_key_arn,
            "rds_key_arn": pair.rds_key_arn,
            "key_grace_seconds": 0,
        }
        if course is Scenario.PROVISION and names_keys:
            external_id = await machine.service.get_external_id()
            role_arn = await asyncio.to_thread(customer.ensure_tenant_role, name, pair, external_id)
            values |= {"tenant": f"tenant-{name}", "tenant_role_arn": role_arn}
        if course is Scenario.ROLL_BACK:
            values["on_failure"] = "rollback"
        run = cls(machine, course, ProvisionRequest.model_validate(values))
        if course is Scenario.DELETE:
            await machine.provision(run.request)
            calls = run.call_control("GET", "calls")["calls"]
            run.since = calls[-1]["number"] if calls else 0
        return run

    async def start(self) -> None:
        """Start the scenario."""
        service = self.machine.service
        if self.course is Scenario.DELETE:
            await service.delete(await service.build_delete_request(self.request.environment_id))
            return
        if self.course is Scenario.ROLL_BACK:
            disabled = {"code": "KMS.DisabledException", "message": f"{self.request.s3_key_arn} is disabled."}
            self.call_control("POST", "faults", **CallSite(*_LAST_WRITE).build_fault(self, "refuse"), **disabled)
        await service.create(self.request)

    async def wait_until_ended(self, seconds: float = 300) -> EnvironmentStatus:
        """Wait until the scenario ends, and return the environment's last status."""
        return await self.machine.wait_until_ended(self.request.environment_id, seconds)

    async def check_outcome(self, status: EnvironmentStatus) -> Verdict:
        """Check the environment's final state."""
        if self.course is Scenario.PROVISION:
            return await checker.check_ready(self.machine, self.request, status)
        if self.course is Scenario.DELETE:
            return await checker.check_removed(self.machine, self.request, status, Phase.DELETED, snapshots=1)
        return await checker.check_removed(self.machine, self.request, status, Phase.STOPPED, snapshots=0)

    def call_control(self, method: str, name: str, **body: Any) -> dict[str, Any]:
        """Send a request to the control endpoint of the local AWS emulator."""
        return self.machine.aws.call_control(method, name, **body)

    def fill_placeholders(self, about: str) -> str:
        """Replace the placeholders in a name with this run's values."""
        return about.format(env=self.request.environment_id, s3=self._key("s3"), rds=self._key("rds"))

    def find_placeholder(self, text: str) -> str | None:
        """Return the placeholder for the part of a string that identifies this run, or None if no part does."""
        return next((name for name in ("{env}", "{s3}", "{rds}") if self.fill_placeholders(name) in text), None)

    def _key(self, which: str) -> str:
        keys = keys_of(self.request)
        return parse_key_arn(keys.s3_key_arn if which == "s3" else keys.rds_key_arn).key_id

    def list_call_sites(self, *, reads: bool = False) -> list[CallSite]:
        """List the calls of this run so far, in order. If `reads` is true, include read-only calls."""
        found, counts = [], Counter[tuple[str, str, str]]()
        for call in self.call_control("GET", "calls")["calls"]:
            ours = "/AtaccamaPlatform/" in call["caller"] or call["caller"].endswith(self.request.environment_id)
            if not ours or call["number"] <= self.since:
                continue  # this call was made by the test, or before the scenario began
            names = (self.find_placeholder(value) for value in call["params"].values())
            about = next((name for name in names if name is not None), None)
            if about is None or call["outcome"] != "ok" or (not reads and call["operation"].startswith(_READS)):
                continue
            kind = (call["service"], call["operation"], about)
            found.append(CallSite(*kind, counts[kind]))
            counts[kind] += 1
        return found
