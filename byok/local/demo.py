"""The demonstration: an environment is provisioned, another one stops on a disabled key and is finished after the fix.

It says what it does and what it expects, and believes nothing that it has not read back. How an environment is shown
is left to the command line.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from byok.domain.arns import KeyPair
from byok.domain.models import ProvisionRequest, TenantOutcome
from byok.domain.phases import AliasState, Phase
from byok.local.stack import REGION, DevStack
from byok.service.environments import EnvironmentService
from byok.service.status import EnvironmentStatus

Follow = Callable[[EnvironmentService, str], Awaitable[EnvironmentStatus]]
Show = Callable[[TenantOutcome], None]
Say = Callable[[str], None]


@dataclass
class DemoOutcome:
    """What the demonstration has shown.

    Attributes:
        shown: One sentence per thing that came out as it should.
        missed: One per thing that did not.
        environments: The environments in their last state.
    """

    shown: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    environments: list[EnvironmentStatus] = field(default_factory=list)
    seconds: float = 0

    def record_expectation(self, held: bool, sentence: str) -> None:
        """Note whether something came out as it should."""
        (self.shown if held else self.missed).append(sentence)


async def run_demo(stack: DevStack, follow: Follow, show: Show, headline: Say) -> DemoOutcome:
    """Show the whole story on a running stack.

    Args:
        stack: Everything on this machine.
        follow: Shows an environment until it has ended.
        show: Shows what became of a tenant's name.
        headline: Says what comes next.
    """
    began, outcome, service = time.monotonic(), DemoOutcome(), await stack.connect_service()
    first, second = await asyncio.to_thread(
        lambda: [stack.customer.ensure_key_pair(name) for name in ("acme", "globex")]
    )

    headline("1. acme gives its two keys, and gets an environment")
    acme = await _provision(service, "acme", first, follow)
    outcome.record_expectation(acme.phase is Phase.READY, "acme is READY")
    for sentence, held in _check_evidence(acme, first):
        outcome.record_expectation(held, sentence)

    headline("2. globex does the same, but its S3 key is disabled")
    await asyncio.to_thread(stack.customer.disable_key, second.s3_key_arn)
    stopped = await _provision(service, "globex", second, follow)
    problem = stopped.problem
    outcome.record_expectation(
        stopped.phase is Phase.STOPPED and problem is not None and problem.code == "s3.KMS.DisabledException",
        "globex stopped with AWS's own error, and the remedy names the key",
    )
    outcome.record_expectation(
        stopped.resources.cluster is None and not stopped.resources.buckets,
        "nothing had been made for it",
    )

    headline("3. globex enables its key and asks again, with the same values")
    await asyncio.to_thread(stack.customer.enable_key, second.s3_key_arn)
    globex = await _provision(service, "globex", second, follow)
    outcome.record_expectation(globex.phase is Phase.READY, "globex is READY after the fix")
    for sentence, held in _check_evidence(globex, second):
        outcome.record_expectation(held, sentence)

    headline("4. acme lets the platform put the tenant's name on its two keys")
    for sentence, held in await _name_keys(stack, service, "acme", first, show):
        outcome.record_expectation(held, sentence)

    outcome.environments = [acme, globex]
    outcome.seconds = time.monotonic() - began
    return outcome


async def _provision(service: EnvironmentService, name: str, keys: KeyPair, follow: Follow) -> EnvironmentStatus:
    request = ProvisionRequest(
        environment_id=name, region=REGION, s3_key_arn=keys.s3_key_arn, rds_key_arn=keys.rds_key_arn
    )
    await service.create(request)
    return await follow(service, name)


async def _name_keys(
    stack: DevStack, service: EnvironmentService, name: str, keys: KeyPair, show: Show
) -> list[tuple[str, bool]]:
    """What the keys bear afterwards, and what is written when it is asked for again."""
    role = await asyncio.to_thread(stack.customer.ensure_tenant_role, name, keys, f"demo-{name}")
    request = await service.build_reconcile_tenant_request(name, name, role)
    show(await service.reconcile_tenant(request))
    again = await service.reconcile_tenant(request)
    marks = await asyncio.to_thread(
        lambda: {which: stack.customer.read_aliases_and_tags(arn) for which, arn in keys.items()}
    )
    vendor = stack.customer.vendor
    return [
        (
            f"both keys of {name} bear its alias and tags, and are still the same keys",
            all(
                vendor.alias_for_tenant(which, name) in aliases and set(tags.values()) >= {name}
                for which, (aliases, tags) in marks.items()
            ),
        ),
        (
            "the second time there was nothing to write",
            all(key.alias_state is AliasState.IN_PLACE and not key.tags_written for key in again.keys),
        ),
    ]


def _check_evidence(status: EnvironmentStatus, keys: KeyPair) -> Iterator[tuple[str, bool]]:
    """What the evidence has to say: it was read back from AWS and not remembered."""
    proof, name = status.evidence, status.environment_id
    database = proof.database if proof else None
    yield (
        f"{name}'s cluster and writer are encrypted with its Aurora key",
        database is not None
        and database.storage_encrypted
        and {database.key_arn, database.writer_key_arn} == {keys.rds_key_arn},
    )
    used = {bucket.key_arn for bucket in proof.buckets} if proof else set()
    used |= {item.key_arn for bucket in proof.buckets for item in bucket.objects} if proof else set()
    yield f"{name}'s buckets and every object in them are encrypted with its S3 key", used == {keys.s3_key_arn}
