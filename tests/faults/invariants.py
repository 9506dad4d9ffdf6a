"""Invariants that must hold for an environment during and after any sequence of operations.

For scenarios whose outcome is known, `tests.faults.checker` checks the final state.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from byok.domain.arns import KeyPurpose
from byok.domain.models import Problem, ProvisionRequest
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus
from tests.e2e.conftest import StackHarness
from tests.faults import checker
from tests.faults.checker import DEFAULT_BLUEPRINT, Verdict

CANCELLED_CODES: Final = {"byok.Cancelled", "byok.Ended"}


@dataclass(frozen=True)
class EnvironmentPast:
    """The facts about an environment's past that determine which states are valid now.

    Attributes:
        deletes: Whether the last operation was a deletion.
        cancelled: Whether the last operation has been cancelled.
        suspects: The keys that were unusable, or that the cluster lost access to, at any time since the last operation
            began.
        readable: Whether the S3 key is usable now.
        snapshots: The number of final snapshots that must exist after a deletion, or None if that number is unknown.
    """

    deletes: bool
    cancelled: bool
    suspects: frozenset[KeyPurpose]
    readable: bool
    snapshots: int | None


async def check_in_progress(machine: StackHarness, request: ProvisionRequest) -> Verdict:
    """Check the invariants that must hold in every state, even during a change."""
    verdict = Verdict()
    await asyncio.to_thread(_never_wrong, machine, request, verdict)
    return verdict


async def check_at_rest(
    machine: StackHarness, request: ProvisionRequest, status: EnvironmentStatus, past: EnvironmentPast
) -> Verdict:
    """Check the state and the reported status of an environment on which no operation is running."""
    if status.phase is Phase.READY:
        verdict = await _ready(machine, request, status, readable=past.readable)
    elif status.phase is Phase.DELETED:
        snapshots = len(await asyncio.to_thread(machine.list_environment_snapshots, request.environment_id))
        wanted = snapshots if past.snapshots is None else past.snapshots
        verdict = await checker.check_removed(machine, request, status, Phase.DELETED, snapshots=wanted)
        verdict.expect("that a deletion was requested", past.deletes, True)
        verdict.expect("that a deletion result exists", status.deletion is not None, True)
        verdict.expect("the problem", status.problem, None)
    else:
        verdict = await _check_stopped(machine, request, status, past)
    if past.readable:
        await asyncio.to_thread(_on_the_right_key, machine, request, verdict)
    return verdict


async def _ready(
    machine: StackHarness, request: ProvisionRequest, status: EnvironmentStatus, *, readable: bool
) -> Verdict:
    verdict = await checker.check_ready(machine, request, status) if readable else Verdict()
    verdict.expect("that evidence exists", status.evidence is not None, True)
    verdict.expect("the problem", status.problem, None)
    verdict.expect("what is left behind", status.left_behind, ())
    if not readable:
        await checker.check_temporal(machine, request, status, verdict)
    return verdict


async def _check_stopped(
    machine: StackHarness, request: ProvisionRequest, status: EnvironmentStatus, past: EnvironmentPast
) -> Verdict:
    verdict = Verdict()
    verdict.expect("the phase", status.phase, Phase.STOPPED)
    verdict.expect("that a problem exists", status.problem is not None, True)
    for problem in status.problems:
        if not _is_true(problem, past):
            broken = ", ".join(sorted(past.suspects)) or "none"
            verdict.lost.append(f"it reports {problem.code} for {problem.key}: {problem.message} (broken: {broken})")
    await asyncio.to_thread(_check_leftovers, machine, request, status, past, verdict)
    await checker.check_temporal(machine, request, status, verdict)
    return verdict


def _is_true(problem: Problem, past: EnvironmentPast) -> bool:
    """Return whether a reported problem is consistent with the environment's past."""
    if problem.code in CANCELLED_CODES:
        return past.cancelled
    return problem.key is not None and problem.key in past.suspects and bool(problem.remediation.steps)


def _never_wrong(machine: StackHarness, request: ProvisionRequest, verdict: Verdict) -> None:
    name = request.environment_id
    clusters = machine.list_environment_clusters(name)
    _at_most("cluster", (one["DBClusterIdentifier"] for one in clusters), {f"byok-{name}"}, verdict)
    _at_most("writer", machine.list_environment_writers(name), {f"byok-{name}-writer"}, verdict)
    purposes = [one.rsplit("-", 2)[1] for one in machine.list_environment_buckets(name)]
    _at_most("bucket for", purposes, {bucket.purpose for bucket in DEFAULT_BLUEPRINT.buckets}, verdict)
    for one in (*clusters, *machine.list_environment_snapshots(name)):
        on = (one.get("StorageEncrypted"), one.get("KmsKeyId"))
        verdict.expect("the encryption of a cluster or snapshot", on, (True, request.rds_key_arn))
    verdict.expect("the keys' other owners", set(checker.read_claims(machine, request).values()) - {name}, set())
    checker.check_no_duplicates(machine, request, verdict)


def _at_most(kind: str, found: Iterable[str], allowed: set[str], verdict: Verdict) -> None:
    counted = Counter(found)
    verdict.expect_each_once(kind, counted, allowed & counted.keys())


def _on_the_right_key(machine: StackHarness, request: ProvisionRequest, verdict: Verdict) -> None:
    """Check that every object uses the customer's key, and that every bucket with objects uses this key by default."""
    s3 = machine.aws.platform_client("s3")
    for bucket in machine.list_environment_buckets(request.environment_id):
        versions = s3.list_object_versions(Bucket=bucket).get("Versions", [])
        for item in versions:
            if not item["IsLatest"]:  # the role is not allowed to read noncurrent versions
                continue
            found = s3.head_object(Bucket=bucket, Key=item["Key"])
            verdict.expect(f"the key of {bucket}/{item['Key']}", found.get("SSEKMSKeyId"), request.s3_key_arn)
        if versions:
            verdict.expect(f"the default key of {bucket}", _default_key(s3, bucket), request.s3_key_arn)


def _default_key(s3: Any, bucket: str) -> str | None:
    try:
        rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    except ClientError:
        return None
    key: str | None = rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
    return key


def _check_leftovers(
    machine: StackHarness,
    request: ProvisionRequest,
    status: EnvironmentStatus,
    past: EnvironmentPast,
    verdict: Verdict,
) -> None:
    """Check that all reported leftovers exist, and that a rollback or deletion left nothing else behind."""
    name, told = request.environment_id, {what.partition(":")[0] for what in status.left_behind}
    clusters = {one["DBClusterIdentifier"] for one in machine.list_environment_clusters(name)}
    there = {*clusters, *machine.list_environment_writers(name), *machine.list_environment_buckets(name)}
    removed = past.deletes or any(entry.phase is Phase.ROLLING_BACK for entry in status.timeline)
    verdict.lost += [f"{one} exists, but is not reported as left behind" for one in sorted(there - told) if removed]
    if not past.cancelled:  # after a cancellation, AWS may still be deleting resources
        verdict.lost += [f"{one} is reported as left behind, but does not exist" for one in sorted(told - there)]


def has_cluster_lost_key(machine: StackHarness, request: ProvisionRequest) -> bool:
    """Return whether the environment's cluster has lost access to its key.

    The cluster can use the key again only after a restart.
    """
    return any("inaccessible" in one["Status"] for one in machine.list_environment_clusters(request.environment_id))
