"""The demo provisions two environments.

The second environment stops because one of its keys is disabled, and becomes ready once the key is enabled and the
request is repeated.

The demo announces each step, and then checks the result in byok and in the local AWS emulator. The functions that show
the environments come from the CLI.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from byok.domain.arns import KeyPair
from byok.domain.models import ProvisionRequest, TenantOutcome
from byok.domain.phases import AliasOutcome, Phase
from byok.local.stack import REGION, DevStack
from byok.service.environments import EnvironmentService
from byok.service.status import EnvironmentStatus

Follow = Callable[[EnvironmentService, str], Awaitable[EnvironmentStatus]]
Show = Callable[[TenantOutcome], None]
Say = Callable[[str], None]


@dataclass
class DemoOutcome:
    """The result of the demo.

    Attributes:
        shown: One sentence for each expectation that was met.
        missed: One sentence for each expectation that was not met.
        environments: The environments in their final state.
        seconds: How long the demo took.
    """

    shown: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    environments: list[EnvironmentStatus] = field(default_factory=list)
    seconds: float = 0

    def record_expectation(self, held: bool, sentence: str) -> None:
        """Record whether an expectation was met."""
        (self.shown if held else self.missed).append(sentence)


async def run_demo(stack: DevStack, follow: Follow, show: Show, headline: Say) -> DemoOutcome:
    """Run the demo on a running stack.

    Args:
        stack: The running stack.
        follow: Shows an environment until its phase is final.
        show: Shows the outcome of setting the tenant name on the keys.
        headline: Announces the next step.
    """
    began, outcome, service = time.monotonic(), DemoOutcome(), await stack.connect_service()
    first, second = await asyncio.to_thread(
        lambda: [stack.customer.ensure_key_pair(name) for name in ("acme", "globex")]
    )

    headline("1. acme provides two KMS keys, and byok provisions an Aurora cluster and S3 buckets encrypted with them")
    acme = await _provision(service, "acme", first, follow)
    outcome.record_expectation(acme.phase is Phase.READY, "acme is READY")
    for sentence, held in _check_evidence(acme, first):
        outcome.record_expectation(held, sentence)

    headline(
        "2. globex requests an environment, but its S3 key is disabled: provisioning stops and shows AWS's error and "
        "the fix"
    )
    await asyncio.to_thread(stack.customer.disable_key, second.s3_key_arn)
    stopped = await _provision(service, "globex", second, follow)
    problem = stopped.problem
    outcome.record_expectation(
        stopped.phase is Phase.STOPPED and problem is not None and problem.code == "s3.KMS.DisabledException",
        "globex stopped, and the problem has AWS's error code",
    )
    outcome.record_expectation(
        stopped.resources.is_empty,
        "at that point, globex had no cluster and no buckets",
    )

    headline("3. globex enables its key and repeats the request: provisioning resumes where it stopped")
    await asyncio.to_thread(stack.customer.enable_key, second.s3_key_arn)
    globex = await _provision(service, "globex", second, follow)
    outcome.record_expectation(globex.phase is Phase.READY, "globex is READY after the fix")
    for sentence, held in _check_evidence(globex, second):
        outcome.record_expectation(held, sentence)

    headline("4. acme creates a role that lets the platform set the tenant name on both keys, as an alias and tags")
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
    """Set the tenant name on the keys twice.

    Check the aliases and tags, and check that the second call writes nothing.
    """
    external_id = await service.get_external_id()
    role_arn = await asyncio.to_thread(stack.customer.ensure_tenant_role, name, keys, external_id)
    request = await service.build_reconcile_tenant_request(name, name, role_arn)
    show(await service.reconcile_tenant(request))
    again = await service.reconcile_tenant(request)
    marks = await asyncio.to_thread(
        lambda: {which: stack.customer.read_aliases_and_tags(arn) for which, arn in keys.items()}
    )
    vendor = stack.customer.vendor
    return [
        (
            f"both keys of {name} have an alias and tags with the tenant name",
            all(
                vendor.alias_for_tenant(which, name) in aliases and set(tags.values()) >= {name}
                for which, (aliases, tags) in marks.items()
            ),
        ),
        (
            "setting the tenant name a second time changed nothing",
            all(key.alias_state is AliasOutcome.IN_PLACE and not key.tags_written for key in again.keys),
        ),
    ]


def _check_evidence(status: EnvironmentStatus, keys: KeyPair) -> Iterator[tuple[str, bool]]:
    """Check the evidence that byok read from AWS at the end of provisioning."""
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
