"""Set tenant names with real processes.

byok sets a tenant name even if the worker is killed at any call. Workflow histories contain no session credentials.
"""

import asyncio
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from temporalio.api.enums.v1 import TimeoutType

from activities.bucket_settings import create_bucket_if_absent
from activities.rds_resources import create_cluster_params
from byok.contracts import RECONCILE_TENANT_WORKFLOW, TASK_QUEUE, tenant_workflow_id
from byok.domain.arns import KeyPair, KeyPurpose
from byok.domain.models import DatabaseTask, ReconcileTenantRequest, TenantOutcome
from byok.domain.phases import AliasOutcome, Phase
from byok.domain.planning import plan_environment
from byok.service.errors import DifferentNamingInProgressError, EnvironmentNotReadyError, NamingStoppedError
from tests.activities.conftest import PLATFORM
from tests.e2e.conftest import StackHarness
from tests.key_faults import create_valid_key
from tests.localaws.server import VENDOR, AwsHarness
from tests.workflows.fake_activities import build_provision_request as request_for
from tests.workflows.fake_activities import build_tenant_request

WRITES = ("CreateAlias", "UpdateAlias", "TagResource")


@dataclass(frozen=True)
class TenantCase:
    """Two keys, a role that is allowed to set a tenant name on the keys, and the request to set the name."""

    machine: StackHarness
    pair: KeyPair
    role_arn: str
    request: ReconcileTenantRequest

    @classmethod
    async def prepare(cls, machine: StackHarness, *, made: bool = True, **changes: object) -> "TenantCase":
        """Create the keys and the role from the real templates.

        Args:
            machine: The stack in which to create the keys and the role.
            made: Whether to also create the resources by which byok recognises the environment.
            changes: Fields of the request that override the defaults.
        """
        name, customer = f"t-{uuid.uuid4().hex[:8]}", machine.stack.customer
        pair = await asyncio.to_thread(customer.ensure_key_pair, name)
        organisation = changes.get("organisation")
        external_id = await machine.service.get_external_id(str(organisation) if organisation else None)
        role_arn = await asyncio.to_thread(customer.ensure_tenant_role, name, pair, external_id)
        if made:
            await asyncio.to_thread(_make, machine.aws, name, pair)
        values = {
            "environment_id": name,
            "region": customer.region,
            "s3_key_arn": pair.s3_key_arn,
            "rds_key_arn": pair.rds_key_arn,
            "key_grace_seconds": 0,
            "tenant": f"tenant-{name}",
            "tenant_role_arn": role_arn,
        }
        return cls(machine, pair, role_arn, ReconcileTenantRequest.model_validate({**values, **changes}))

    async def reconcile(self) -> TenantOutcome:
        """Request the tenant name, and return the outcome."""
        return await asyncio.wait_for(self.machine.service.reconcile_tenant(self.request), 60)

    def assert_keys_named(self) -> None:
        """Check that both keys have exactly the tenant's alias and tags."""
        for which, arn in self.pair.items():
            tenant = self.request.tenant
            expected = ([VENDOR.alias_for_tenant(which, tenant)], dict.fromkeys(VENDOR.tenant_tags, tenant))
            assert self.machine.stack.customer.read_aliases_and_tags(arn) == expected

    @property
    def session_name(self) -> str:
        """The session name that the customer sees in CloudTrail."""
        return f"byok-{self.request.environment_id}"

    def list_kms_calls(self) -> list[str]:
        """List the calls to KMS that byok has made for this environment, in order."""
        calls = self.machine.aws.call_control("GET", "calls")["calls"]
        return [
            call["operation"]
            for call in calls
            if call["service"] == "kms" and call["caller"].endswith(f"/{self.session_name}")
        ]

    async def count_heartbeat_timeouts(self) -> int:
        """Count the attempts that ended with a heartbeat timeout."""
        handle = self.machine.service.client.get_workflow_handle(tenant_workflow_id(self.request.environment_id))
        started = [
            event.activity_task_started_event_attributes
            async for event in handle.fetch_history_events()
            if event.HasField("activity_task_started_event_attributes")
        ]
        silent = TimeoutType.TIMEOUT_TYPE_HEARTBEAT
        return [step.last_failure.timeout_failure_info.timeout_type for step in started].count(silent)

    def count_writes(self) -> int:
        """Count the KMS write calls that all callers have made so far."""
        return len([call for call in self.machine.aws.list_calls("kms") if call in WRITES])


def _make(aws: AwsHarness, name: str, pair: KeyPair) -> None:
    """Create the resources by which byok recognises an environment with these keys: the cluster and one bucket."""
    request = request_for(name, s3_key_arn=pair.s3_key_arn, rds_key_arn=pair.rds_key_arn)
    plan = plan_environment(request, PLATFORM, datetime.now(UTC), "a-run")
    task = DatabaseTask(environment=plan.environment, cluster=plan.cluster)
    aws.platform_client("rds").create_db_cluster(**create_cluster_params(task))
    s3, bucket = aws.platform_client("s3"), plan.buckets[0].name
    create_bucket_if_absent(s3, bucket, plan.environment.region, plan.environment.tags)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": pair.s3_key_arn}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)


PLAIN = ("ListAliases", "CreateAlias", "ListResourceTags", "TagResource")
CROSSED = ("ListAliases", "CreateAlias", "ListAliases", "UpdateAlias", "ListResourceTags", "TagResource")
"""The calls for one key. With `PLAIN`, the key's alias does not exist yet. With `CROSSED`, the alias exists but points
to the other key, so byok must repoint it.
"""
NAMING = {"Effect": "Allow", "Action": ["kms:*Alias*", "kms:ListResourceTags", "kms:TagResource"], "Resource": "*"}


@dataclass(frozen=True)
class InterruptedCall:
    """The call to interrupt while byok sets a tenant name on both keys.

    A service and a number identify the call.
    """

    service: str
    number: int
    path: tuple[str, ...]

    @staticmethod
    def list_all(path: tuple[str, ...]) -> "list[InterruptedCall]":
        """List every call that byok makes for both keys, including one `AssumeRole` call for each key."""
        return [
            *(InterruptedCall("sts", number, path) for number in range(2)),
            *(InterruptedCall("kms", number, path) for number in range(2 * len(path))),
        ]

    async def prepare_case(self, machine: StackHarness, role_arn: str) -> TenantCase:
        """Prepare an environment whose tenant name can be set with exactly the calls in `path`."""

        def prepare() -> TenantCase:
            name, aws = f"k-{uuid.uuid4().hex[:8]}", machine.aws
            pair = KeyPair(create_valid_key(aws, KeyPurpose.S3), create_valid_key(aws, KeyPurpose.RDS))
            _make(aws, name, pair)
            keys = {"s3_key_arn": pair.s3_key_arn, "rds_key_arn": pair.rds_key_arn, "tenant_role_arn": role_arn}
            more = {"tenant": f"tenant-{name}", "repoint": self.path is CROSSED, "key_grace_seconds": 0}
            request = build_tenant_request(name, **keys, **more)
            if self.path is CROSSED:
                for which, other in zip(KeyPurpose, reversed(pair.arns), strict=True):
                    alias = VENDOR.alias_for_tenant(which, request.tenant)
                    aws.customer_client("kms").create_alias(AliasName=alias, TargetKeyId=other)
            return TenantCase(machine, pair, role_arn, request)

        return await asyncio.to_thread(prepare)

    def hold(self, named: TenantCase) -> None:
        """Delay the call for longer than any caller waits for a response."""
        at = {"service": self.service, "operation": "*", "after_calls": self.number, "session": named.session_name}
        named.machine.aws.call_control("POST", "faults", kind="delay", seconds=300, **at)


async def test_worker_killed_at_any_call_ends_in_the_same_state(machine: StackHarness) -> None:
    external_id = await machine.service.get_external_id()
    role_arn = machine.aws.create_customer_role(NAMING, external_id=external_id)
    for path in (PLAIN, CROSSED):
        whole = await InterruptedCall("kms", 0, path).prepare_case(machine, role_arn)
        await whole.reconcile()
        assert whole.list_kms_calls() == [*path, *path], "the list of calls to interrupt must be complete"
    cuts = [*InterruptedCall.list_all(PLAIN), *InterruptedCall.list_all(CROSSED)]
    every = [await cut.prepare_case(machine, role_arn) for cut in cuts]
    for cut, named in zip(cuts, every, strict=True):
        cut.hold(named)

    asked = [asyncio.create_task(named.reconcile()) for named in every]
    await _nothing_waits_to_be_held(machine)
    assert [named.request.environment_id for named, task in zip(every, asked, strict=True) if task.done()] == []
    await machine.stack.restart_worker(kill=True)
    machine.aws.call_control("DELETE", "faults")  # AWS executes the pending calls, but their callers have been killed
    outcomes = await asyncio.gather(*asked)

    for cut, named, outcome in zip(cuts, every, outcomes, strict=True):
        assert await named.count_heartbeat_timeouts() == 1, f"{cut} must be pending when the worker is killed"
        assert not outcome.conflicting_keys
        named.assert_keys_named()
    before = every[0].count_writes()
    again = await asyncio.gather(*(named.reconcile() for named in every))
    assert every[0].count_writes() == before  # the second reconciliation writes nothing
    assert {key.alias_state for outcome in again for key in outcome.keys} == {AliasOutcome.IN_PLACE}


async def _nothing_waits_to_be_held(machine: StackHarness) -> None:
    async def held() -> None:
        while (await asyncio.to_thread(machine.aws.call_control, "GET", "faults"))["faults"]:
            pass

    await asyncio.wait_for(held(), 60)


async def test_provisioning_names_the_keys_and_leaves_the_session_out_of_the_history(machine: StackHarness) -> None:
    named = await TenantCase.prepare(machine, made=False)
    asked = named.request
    request = machine.build_request(
        environment_id=asked.environment_id,
        s3_key_arn=asked.s3_key_arn,
        rds_key_arn=asked.rds_key_arn,
        tenant=asked.tenant,
        tenant_role_arn=asked.tenant_role_arn,
    )

    status = await machine.provision(request)

    assert (status.phase, status.problem) == (Phase.READY, None)
    assert status.tenant is not None
    assert not status.tenant.conflicting_keys
    named.assert_keys_named()
    shown = await machine.run_program(
        "temporal", "workflow", "show", "--workflow-id", f"environment/{request.environment_id}", "--output", "json"
    )
    assert "reconcile_key" in shown.out
    for secret in ("SecretAccessKey", "SessionToken", "ASIA"):
        assert secret not in shown.out
    # A later request reuses the original request's role.
    repeated = await machine.service.build_reconcile_tenant_request(asked.environment_id, asked.tenant)
    assert repeated.tenant_role_arn == asked.tenant_role_arn


async def test_refused_role_stops_and_is_reported_once(machine: StackHarness) -> None:
    named = await TenantCase.prepare(machine)
    foreign = await asyncio.to_thread(
        machine.stack.customer.ensure_tenant_role,
        f"{named.request.environment_id}-foreign",
        named.pair,
        await machine.service.get_external_id("globex"),
    )
    wrong = named.request.model_copy(update={"tenant_role_arn": foreign})

    with pytest.raises(NamingStoppedError) as caught:
        await machine.service.reconcile_tenant(wrong)

    assert [problem.code for problem in caught.value.problems] == ["sts.AccessDenied"]
    assert machine.stack.customer.read_aliases_and_tags(named.pair.s3_key_arn) == ([], {})


async def test_keys_of_another_environment_are_refused_and_left_unchanged(machine: StackHarness) -> None:
    named, other = await TenantCase.prepare(machine), await TenantCase.prepare(machine)
    keys = {
        "s3_key_arn": other.pair.s3_key_arn,
        "rds_key_arn": other.pair.rds_key_arn,
        "tenant_role_arn": other.role_arn,
    }

    with pytest.raises(NamingStoppedError) as caught:
        await machine.service.reconcile_tenant(named.request.model_copy(update=keys))

    assert [problem.code for problem in caught.value.problems] == ["byok.NotThisEnvironmentsKeys"] * 2
    for arn in other.pair.arns:
        assert machine.stack.customer.read_aliases_and_tags(arn) == ([], {})  # contract 123


async def test_concurrent_tenant_names_are_not_mixed(machine: StackHarness) -> None:
    named = await TenantCase.prepare(machine)
    other = named.request.model_copy(update={"tenant": "another-name"})
    machine.aws.call_control("POST", "faults", service="kms", operation="TagResource", kind="delay", seconds=1)
    handle = await machine.service.client.start_workflow(
        RECONCILE_TENANT_WORKFLOW,
        named.request,
        id=tenant_workflow_id(named.request.environment_id),
        task_queue=TASK_QUEUE,
    )

    with pytest.raises(DifferentNamingInProgressError, match=named.request.tenant):
        await machine.service.reconcile_tenant(other)

    await handle.result()
    named.assert_keys_named()


async def test_environment_that_is_not_ready_gets_no_tenant_name(machine: StackHarness) -> None:
    request = machine.build_request(
        s3_key_arn="arn:aws:kms:eu-central-1:444455556666:key/00000000-0000-4000-8000-000000000000"
    )
    await machine.provision(request)

    with pytest.raises(EnvironmentNotReadyError, match="STOPPED"):
        await machine.service.build_reconcile_tenant_request(request.environment_id, "acme")
