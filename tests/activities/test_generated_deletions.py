"""Run generated sequences of commands on two environments in two Regions (contract 137, 138).

No command removes a resource of another environment. Once an environment is DELETED, no resource has its tag. The
tests run the real workflows and activities on a Temporal server with a virtual clock. The activities call the local AWS
emulator.
"""

import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import Phase as HypothesisPhase
from hypothesis import strategies as st
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from byok.contracts import DELETE_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.arns import parse_key_arn
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.service.errors import EnvironmentNotFoundError, ServiceError
from byok.service.status import EnvironmentStatus
from tests.activities.conftest import OTHER_REGION, PLATFORM, ActivityHarness, list_real_activities
from tests.localaws.server import REGION, AwsHarness
from tests.workflows.temporal_env import build_temporal_activities
from workflows.delete_environment import DeleteEnvironment
from workflows.environment_record import EnvironmentRecord
from workflows.prove_aurora_key import ProveAuroraKey
from workflows.provision_environment import ProvisionEnvironment

EXAMPLES: Final = 7
UNUSED_REGION: Final = "us-west-2"
ENVIRONMENTS: Final = (0, 1)
PAIRS: Final = (0, 1, 2)
"""Three pairs of keys: one pair for each of the two environments, and a third pair in the second Region.

The S3 key of the third pair is a replica of the first environment's S3 key.
"""

environments = st.sampled_from(ENVIRONMENTS)
regions = st.sampled_from((REGION, OTHER_REGION, UNUSED_REGION))
key_choices = st.sampled_from((None, None, *PAIRS))
rarely = st.sampled_from((False, False, False, True))


@dataclass(frozen=True)
class DeleteByService:
    """A deletion that is requested through the CLI or the API."""

    environment: int
    region: str | None
    s3: int | None
    rds: int | None
    final_snapshot: bool


@dataclass(frozen=True)
class StartDeletion:
    """A deletion that a person starts in Temporal's UI."""

    environment: int
    region: str
    s3: int | None
    rds: int | None
    workflow_of_other: bool = False
    confirms_other: bool = False


@dataclass(frozen=True)
class Provision:
    """A provisioning request that may conflict with the environment's resources or with its record in Temporal."""

    environment: int
    region: str
    pair: int


@dataclass(frozen=True)
class WriteForeignObject:
    """One of the customer's services writes an object to a bucket of the environment."""

    environment: int


@dataclass(frozen=True)
class Forget:
    """Temporal loses the workflow and the record."""

    environment: int


Command = DeleteByService | StartDeletion | Provision | WriteForeignObject | Forget

commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        DeleteByService,
        environment=environments,
        region=st.none() | regions,
        s3=key_choices,
        rds=key_choices,
        final_snapshot=st.booleans(),
    ),
    st.builds(
        StartDeletion,
        environment=environments,
        region=regions,
        s3=key_choices,
        rds=key_choices,
        workflow_of_other=rarely,
        confirms_other=rarely,
    ),
    st.builds(Provision, environment=environments, region=regions, pair=st.sampled_from(PAIRS)),
    st.builds(WriteForeignObject, environment=environments),
    st.builds(Forget, environment=environments),
)


class ForgetfulService(EnvironmentService):
    """Simulates a Temporal server that has lost the workflows and records of some environments.

    A real server would take too long to delete the workflows and records.
    """

    def __init__(self, client: Client, task_queue: str, forgotten: set[str]) -> None:
        super().__init__(client, task_queue)
        self._forgotten = forgotten

    async def read_status(self, environment_id: str) -> EnvironmentStatus:
        """See `EnvironmentReader`."""
        if environment_id in self._forgotten:
            raise EnvironmentNotFoundError(f"Environment {environment_id} not found.")
        return await super().read_status(environment_id)


@dataclass
class TwoEnvironments:
    """Runs commands on two environments in two Regions, and reads the environments' resources and claims from AWS."""

    client: Client
    aws: AwsHarness
    queue: str
    names: tuple[str, str]
    pairs: tuple[tuple[str, str], ...]
    foreign: set[tuple[str, str]] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)

    @property
    def service(self) -> EnvironmentService:
        """The `EnvironmentService` that the CLI and the API use."""
        return ForgetfulService(self.client, self.queue, self.forgotten)

    async def run(self, command: Command) -> EnvironmentStatus | None:
        """Run a command and return its workflow's last status; None if the command is refused or starts no workflow."""
        name = self.names[command.environment]
        try:
            match command:
                case DeleteByService():
                    request = await self.service.build_delete_request(
                        name,
                        final_snapshot=command.final_snapshot,
                        region=command.region,
                        s3_key_arn=self._key(command.s3, 0),
                        rds_key_arn=self._key(command.rds, 1),
                    )
                    await self.service.delete(request)
                    self.forgotten.discard(name)
                case StartDeletion():
                    name = await self._start_deletion(command)
                case Provision():
                    self.forgotten.discard(name)
                    await self.service.create(self.build_request(command.environment, command.region, command.pair))
                case WriteForeignObject():
                    self._write_foreign_object(name)
                    return None
                case Forget():
                    self.forgotten.add(name)
                    return None
        except ServiceError:
            return None
        handle = self.client.get_workflow_handle(environment_workflow_id(name))
        with contextlib.suppress(WorkflowFailureError):
            await handle.result()
        return await self.service.read_status(name)

    def build_request(self, environment: int, region: str, pair: int) -> ProvisionRequest:
        """Build a request that provisions one of the environments."""
        s3, rds = self.pairs[pair]
        return ProvisionRequest(
            environment_id=self.names[environment],
            region=region,
            s3_key_arn=s3,
            rds_key_arn=rds,
            key_grace_seconds=0,
        )

    def list_resources(self, environment: int) -> dict[str, str | None]:
        """Map each resource that has the environment's tag, in both Regions, to the key that encrypts the resource."""
        tag = {"Key": "byok:environment-id", "Value": self.names[environment]}
        found: dict[str, str | None] = {}
        for region in PLATFORM.regions:
            rds = self.aws.operator_client("rds", region)
            for one in rds.describe_db_clusters()["DBClusters"]:
                if tag in one["TagList"]:
                    found[one["DBClusterArn"]] = one["KmsKeyId"]
            for one in rds.describe_db_instances()["DBInstances"]:
                if tag in one["TagList"]:
                    found[one["DBInstanceArn"]] = one["KmsKeyId"]
        s3 = self.aws.operator_client("s3")
        for bucket in s3.list_buckets()["Buckets"]:
            if f"-{self.names[environment]}-" in bucket["Name"]:
                assert tag in s3.get_bucket_tagging(Bucket=bucket["Name"])["TagSet"]
                rule = s3.get_bucket_encryption(Bucket=bucket["Name"])["ServerSideEncryptionConfiguration"]["Rules"][0]
                found[bucket["Name"]] = rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
        return found

    def read_claims(self) -> dict[str, str]:
        """Map each claimed key to the environment that claims the key."""
        s3 = self.aws.operator_client("s3")
        listed = s3.list_objects_v2(Bucket=PLATFORM.claims_bucket, Prefix="claims/").get("Contents", [])
        bodies = {one["Key"]: s3.get_object(Bucket=PLATFORM.claims_bucket, Key=one["Key"])["Body"] for one in listed}
        return {key.removeprefix("claims/"): json.loads(body.read())["environment_id"] for key, body in bodies.items()}

    def check(self, command: Command, status: EnvironmentStatus | None, before: list[dict[str, str | None]]) -> None:
        """Check the conditions that must hold after every command."""
        after = [self.list_resources(environment) for environment in ENVIRONMENTS]
        claims = self.read_claims()
        deletes = isinstance(command, DeleteByService | StartDeletion)
        for environment in ENVIRONMENTS:
            name, removed = self.names[environment], before[environment].keys() - after[environment].keys()
            acted_on = status is not None and status.environment_id == name
            if not acted_on or not deletes:
                assert not removed, f"{command} removed {removed} of {name}"  # contract 137
            if removed:
                assert status is not None
                assert status.phase is Phase.DELETED, f"{command} removed only a part of {name}: {removed}"
            if acted_on and status is not None and status.phase is Phase.DELETED:
                assert after[environment] == {}, f"{name} is DELETED, and AWS lists {after[environment]}"
                assert name not in claims.values()  # contract 138
            for resource, key_arn in after[environment].items():
                if key_arn is not None:
                    holder = claims.get(parse_key_arn(key_arn).global_id)
                    assert holder == name, f"{resource} uses a key that {holder} holds"  # contract 123
            unused = {key for key, holder in claims.items() if holder == name} - {
                parse_key_arn(key_arn).global_id for key_arn in after[environment].values() if key_arn is not None
            }
            assert not unused, f"{name} holds {unused}, and uses none of them"  # contract 138
        s3 = self.aws.operator_client("s3")
        for bucket, version in self.foreign:
            versions = s3.list_object_versions(Bucket=bucket)["Versions"]
            assert version in {one["VersionId"] for one in versions}, f"{command} removed an object from {bucket}"

    def _key(self, pair: int | None, which: int) -> str | None:
        return None if pair is None else self.pairs[pair][which]

    async def _start_deletion(self, command: StartDeletion) -> str:
        """Start a deletion workflow, and return the environment id from its workflow id."""
        own, other = self.names[command.environment], self.names[1 - command.environment]
        name = other if command.workflow_of_other else own
        self.forgotten.discard(name)
        given = {
            "environment_id": own,
            "confirm": other if command.confirms_other else own,
            "region": command.region,
            "s3_key_arn": self._key(command.s3, 0),
            "rds_key_arn": self._key(command.rds, 1),
        }
        await self.client.start_workflow(
            DELETE_ENVIRONMENT_WORKFLOW, given, id=environment_workflow_id(name), task_queue=self.queue
        )
        return name

    def _write_foreign_object(self, name: str) -> None:
        s3 = self.aws.platform_client("s3")
        for bucket in s3.list_buckets()["Buckets"]:
            if f"-{name}-" in bucket["Name"]:
                written = s3.put_object(Bucket=bucket["Name"], Key="theirs", Body=b"theirs")
                self.foreign.add((bucket["Name"], written["VersionId"]))
                return


@dataclass
class Stage:
    """A worker with the real activities, and its task queue."""

    client: Client
    aws: AwsHarness
    queue: str

    async def make_environments(self) -> TwoEnvironments:
        """Provision two environments, each in its own Region."""
        primary = self.aws.create_s3_key(MultiRegion=True)
        replica = self.aws.customer_client("kms").replicate_key(
            KeyId=primary, ReplicaRegion=OTHER_REGION, Policy=self._policy_of_an_s3_key()
        )["ReplicaKeyMetadata"]["Arn"]
        pairs = (
            (primary, self.aws.create_rds_key()),
            (self.aws.create_s3_key(OTHER_REGION), self.aws.create_rds_key(OTHER_REGION)),
            (replica, self.aws.create_rds_key(OTHER_REGION)),
        )
        both = (f"one-{uuid.uuid4().hex[:8]}", f"two-{uuid.uuid4().hex[:8]}")
        made = TwoEnvironments(self.client, self.aws, self.queue, both, pairs)
        for environment, region in zip(ENVIRONMENTS, PLATFORM.regions, strict=True):
            status = await made.run(Provision(environment, region, environment))
            assert status is not None
            assert status.phase is Phase.READY, status.problems
        return made

    def _policy_of_an_s3_key(self) -> str:
        sample = self.aws.create_s3_key(OTHER_REGION)
        policy: str = self.aws.customer_client("kms", OTHER_REGION).get_key_policy(KeyId=sample)["Policy"]
        return policy


@pytest_asyncio.fixture(scope="module")
async def stage(temporal: WorkflowEnvironment, aws_server: AwsHarness) -> AsyncIterator[Stage]:
    """A worker whose activities call the local AWS emulator."""
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(6) as executor:
        patch.setenv("AWS_ENDPOINT_URL", aws_server.endpoint)
        aws_server.call_control("POST", "reset")
        aws_server.call_control("POST", "settings", database_seconds=0, propagation_seconds=0)
        queue = f"queue-{uuid.uuid4().hex}"
        async with Worker(
            temporal.client,
            task_queue=queue,
            workflows=[ProvisionEnvironment, DeleteEnvironment, ProveAuroraKey, EnvironmentRecord],
            activities=[*list_real_activities(ActivityHarness(aws_server)), *build_temporal_activities()],
            activity_executor=executor,
            max_concurrent_activities=6,
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            yield Stage(temporal.client, aws_server, queue)


@settings(
    max_examples=EXAMPLES,
    derandomize=True,  # Every run uses the same examples.
    phases=[HypothesisPhase.explicit, HypothesisPhase.generate],  # Shrinking would take minutes.
    suppress_health_check=list(HealthCheck),
)
@example(sequence=[StartDeletion(0, OTHER_REGION, None, None)])
@example(sequence=[WriteForeignObject(0), StartDeletion(0, REGION, None, None)])
@example(sequence=[StartDeletion(1, REGION, None, None), Provision(1, OTHER_REGION, 2)])
@example(sequence=[Forget(1), DeleteByService(1, REGION, 0, 0, final_snapshot=False)])
@given(sequence=st.lists(commands, min_size=2, max_size=5))
async def test_no_sequence_of_commands_removes_what_it_must_not(stage: Stage, sequence: list[Command]) -> None:
    both = await stage.make_environments()
    for command in sequence:
        before = [both.list_resources(environment) for environment in ENVIRONMENTS]
        both.check(command, await both.run(command), before)
