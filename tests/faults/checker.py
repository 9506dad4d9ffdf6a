"""Check that each resource exists exactly once and uses the right key, and that status and record are correct.

The checks read the resources from the local AWS emulator, and the status and the histories from Temporal.
"""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from byok.blueprints import load_blueprint
from byok.contracts import environment_workflow_id, record_workflow_id, tenant_workflow_id
from byok.domain.arns import KeyPurpose, parse_key_arn
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.service.records import build_recorded_status
from byok.service.status import EnvironmentStatus
from byok.service.unreported_ends import UNREPORTED_END_CODE
from byok.temporal_records import find_record
from tests.e2e.conftest import StackHarness
from tests.localaws.server import VENDOR
from tests.requested_keys import keys_of

REPORT_TIMEOUT_SECONDS: Final = 10.0
"""The maximum time that the record takes to process a report that was sent before the run ended."""

SECRET_MARKERS: Final = (
    b"SecretAccessKey",
    b"SessionToken",
    b"AWS4-HMAC",
    b"local-platform-secret",
    b"MasterUserPassword",
)
DEFAULT_BLUEPRINT: Final = load_blueprint(None)
ONCE_ONLY_OPERATIONS: Final = ("CreateDBCluster", "CreateDBInstance", "CreateBucket")
CARRIED_OUT_OUTCOMES: Final = {"ok", "answer lost"}


@dataclass
class Verdict:
    """The defects found in one environment.

    Attributes:
        lost: The resources and values that are missing or wrong.
        doubled: The resources that exist, or were created, more than once.
    """

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)

    @property
    def survived(self) -> bool:
        """True if no defects were found."""
        return not self.lost and not self.doubled

    def add(self, other: "Verdict") -> None:
        """Add the defects of another verdict."""
        self.lost += other.lost
        self.doubled += other.doubled

    def expect(self, name: str, found: object, wanted: object) -> None:
        """Record a defect if a value differs from the expected value."""
        if found != wanted:
            self.lost.append(f"{name} is {found!r}, expected {wanted!r}")

    def expect_each_once(self, name: str, found: Counter[str], wanted: set[str]) -> None:
        """Record missing, unexpected and duplicate resources as defects."""
        self.lost += [f"{name} {one} is missing" for one in sorted(wanted - set(found))]
        self.doubled += [f"{name} {one} is unexpected" for one in sorted(set(found) - wanted)]
        self.doubled += [f"{name} {one} exists {count} times" for one, count in found.items() if count > 1]


async def check_ready(machine: StackHarness, request: ProvisionRequest, status: EnvironmentStatus) -> Verdict:
    """Check that an environment is READY and complete, and has no duplicate resources."""
    verdict = Verdict()
    verdict.expect("the phase", status.phase, Phase.READY)
    if status.phase is not Phase.READY:
        verdict.lost.append(f"the problems are {[problem.code for problem in status.problems]}")
    await asyncio.to_thread(_complete, machine, request, verdict)
    await check_temporal(machine, request, status, verdict)
    return verdict


async def check_stopped(
    machine: StackHarness, request: ProvisionRequest, status: EnvironmentStatus, *codes: str, key: KeyPurpose | None
) -> Verdict:
    """Check that an environment is STOPPED, and that its problem has one of these codes and this key's ARN."""
    verdict = Verdict()
    verdict.expect("the phase", status.phase, Phase.STOPPED)
    problem = status.problem
    if problem is None or problem.code not in codes:
        verdict.lost.append(f"the problem is {problem and problem.code}, expected {' or '.join(codes)}")
    else:
        verdict.expect("the key at fault", problem.key, key)
    await asyncio.to_thread(check_no_duplicates, machine, request, verdict)
    await check_temporal(machine, request, status, verdict)
    return verdict


async def check_removed(
    machine: StackHarness, request: ProvisionRequest, status: EnvironmentStatus, phase: Phase, *, snapshots: int
) -> Verdict:
    """Check that an environment is in this phase, and that only the given number of final snapshots remains."""
    verdict = Verdict()
    verdict.expect("the phase", status.phase, phase)
    verdict.expect("what is left behind", status.left_behind, ())
    await asyncio.to_thread(_nothing_left, machine, request, snapshots, verdict)
    await check_temporal(machine, request, status, verdict)
    return verdict


def _complete(machine: StackHarness, request: ProvisionRequest, verdict: Verdict) -> None:
    name, s3 = request.environment_id, machine.aws.platform_client("s3")  # only the platform role may use the keys
    clusters = machine.list_environment_clusters(name)
    verdict.expect_each_once("cluster", Counter(one["DBClusterIdentifier"] for one in clusters), {f"byok-{name}"})
    for cluster in clusters:
        verdict.expect("the cluster's key", cluster.get("KmsKeyId"), request.rds_key_arn)
    verdict.expect_each_once("writer", Counter(machine.list_environment_writers(name)), {f"byok-{name}-writer"})
    buckets = {one.rsplit("-", 2)[1]: one for one in machine.list_environment_buckets(name)}
    verdict.expect_each_once(
        "bucket for", Counter(buckets.keys()), {bucket.purpose for bucket in DEFAULT_BLUEPRINT.buckets}
    )
    for bucket in DEFAULT_BLUEPRINT.buckets:
        if bucket.purpose in buckets:
            _check_objects(s3, buckets[bucket.purpose], {item.key for item in bucket.objects}, request, verdict)
    verdict.expect("the claims", read_claims(machine, request), dict.fromkeys(KeyPurpose, name))
    check_no_duplicates(machine, request, verdict)
    if request.tenant is not None:
        for which in KeyPurpose:
            arn = dict(keys_of(request).items())[which]
            named = (
                [VENDOR.alias_for_tenant(which, request.tenant)],
                dict.fromkeys(VENDOR.tenant_tags, request.tenant),
            )
            verdict.expect(
                f"the name on the {which.display_name}", machine.stack.customer.read_aliases_and_tags(arn), named
            )


def _check_objects(s3: Any, bucket: str, wanted: set[str], request: ProvisionRequest, verdict: Verdict) -> None:
    rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = rule["ApplyServerSideEncryptionByDefault"]
    verdict.expect(f"the key of {bucket}", default.get("KMSMasterKeyID"), request.s3_key_arn)
    versions = s3.list_object_versions(Bucket=bucket).get("Versions", [])
    verdict.expect_each_once(f"object in {bucket}", Counter(item["Key"] for item in versions), wanted)
    for item in versions:
        found = s3.head_object(
            Bucket=bucket, Key=item["Key"]
        )  # without a VersionId, because the role is allowed to read only current versions
        verdict.expect(f"the key of {bucket}/{item['Key']}", found.get("SSEKMSKeyId"), request.s3_key_arn)
    open_to = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    verdict.expect(f"the public access block of {bucket}", set(open_to.values()), {True})
    verdict.expect(f"versioning of {bucket}", s3.get_bucket_versioning(Bucket=bucket).get("Status"), "Enabled")


def read_claims(machine: StackHarness, request: ProvisionRequest) -> dict[KeyPurpose, str]:
    """Return, for each of the two keys, the id of the environment that claims the key."""
    s3, found = machine.aws.operator_client("s3"), {}
    probes = next((one["Name"] for one in s3.list_buckets()["Buckets"] if "-key-probes-" in one["Name"]), None)
    for which, arn in keys_of(request).items():
        key = parse_key_arn(arn)
        name = f"claims/{key.account}/{key.key_id}"
        with suppress(s3.exceptions.NoSuchKey):  # there is no claim, or its deletion has begun
            if probes:
                found[which] = s3.get_object(Bucket=probes, Key=name)["Body"].read().decode().split('"')[3]
    return found


def check_no_duplicates(machine: StackHarness, request: ProvisionRequest, verdict: Verdict) -> None:
    """Check in the call log that no resource was created a second time without a deletion in between."""
    there: Counter[str] = Counter()
    for call in machine.aws.call_control("GET", "calls")["calls"]:
        names = [value for value in call["params"].values() if f"-{request.environment_id}" in value]
        if not names or call["outcome"] not in CARRIED_OUT_OUTCOMES:
            continue
        what = f"{call['operation'].removeprefix('Create').removeprefix('Delete')} {max(names, key=len)}"
        if call["operation"].startswith("Delete"):
            there[what] = 0  # after the deletion, the name is available again
        elif call["operation"] in ONCE_ONLY_OPERATIONS:
            there[what] += 1
            if there[what] > 1:
                verdict.doubled.append(f"{what} was created {there[what]} times")


def _nothing_left(machine: StackHarness, request: ProvisionRequest, snapshots: int, verdict: Verdict) -> None:
    name = request.environment_id
    for kind, found in (
        ("cluster", [one["DBClusterIdentifier"] for one in machine.list_environment_clusters(name)]),
        ("writer", machine.list_environment_writers(name)),
        ("bucket", machine.list_environment_buckets(name)),
        ("claim", [which.display_name for which in read_claims(machine, request)]),
    ):
        verdict.lost += [f"{kind} {one} still exists" for one in found]
    kept = [one["DBClusterSnapshotIdentifier"] for one in machine.list_environment_snapshots(name)]
    if len(kept) > snapshots:
        verdict.doubled.append(f"{len(kept)} final snapshots: {', '.join(kept)}")
    verdict.expect("the number of final snapshots", len(kept), max(len(kept), snapshots))


async def check_temporal(
    machine: StackHarness, request: ProvisionRequest, status: EnvironmentStatus, verdict: Verdict
) -> None:
    """Check that the environment's record agrees with its status, and that no history contains a secret."""
    await _check_record(machine, status, verdict)
    await _check_histories_for_secrets(machine, request, verdict)


async def _check_record(machine: StackHarness, status: EnvironmentStatus, verdict: Verdict) -> None:
    """Check the record, unless the run was terminated in Temporal and could not report its end."""
    if status.problem is not None and status.problem.code == UNREPORTED_END_CODE:
        return
    found = await find_record(machine.service.client, status.environment_id)
    if found is None:
        verdict.lost.append("the environment has no record")
        return
    recorded = build_recorded_status(await found.read_state())
    # If Temporal repeated the last workflow task, the run reported its end twice. The times in the status are those of
    # the second report, which may arrive later.
    deadline = time.monotonic() + REPORT_TIMEOUT_SECONDS
    while recorded is not None and recorded.timeline != status.timeline and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
        recorded = build_recorded_status(await found.read_state())
    if recorded is None:
        verdict.lost.append("the environment's record is empty")
        return
    verdict.expect("the recorded run", recorded.run_id, status.run_id)
    verdict.expect("the recorded problems", recorded.problems, status.problems)
    verdict.expect("the recorded resources", recorded.resources, status.resources)
    verdict.expect("the recorded evidence", recorded.evidence, status.evidence)
    verdict.expect("the recorded timeline", recorded.timeline, status.timeline)
    runs = Counter(one.run_id for one in await machine.service.list_attempts(recorded))
    verdict.doubled += [f"attempt {run_id} is recorded {count} times" for run_id, count in runs.items() if count > 1]


async def _check_histories_for_secrets(machine: StackHarness, request: ProvisionRequest, verdict: Verdict) -> None:
    """Check that no workflow history of the environment contains a secret."""
    builders = (environment_workflow_id, tenant_workflow_id, record_workflow_id)
    ids = tuple(build(request.environment_id) for build in builders)
    async for run in machine.service.client.list_workflows(f"WorkflowId IN {ids}"):
        history = await machine.service.client.get_workflow_handle(run.id, run_id=run.run_id).fetch_history()
        raw = b"".join(event.SerializeToString() for event in history.events)
        verdict.lost += [
            f"{secret.decode()} is in the history of {run.id}" for secret in SECRET_MARKERS if secret in raw
        ]
