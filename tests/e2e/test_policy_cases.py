"""For every policy in the catalogue, the offline check predicts the outcome of a full provisioning run."""

import asyncio
import json
from datetime import UTC, datetime

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.report import check_policy
from byok.domain.phases import Phase
from localaws.accounts import PLATFORM_ROLE_ARN
from localaws.state import CUSTOMER_ACCOUNT, PLATFORM_ACCOUNT
from tests.condition_cases import CONDITION_CASES
from tests.e2e.conftest import StackHarness
from tests.key_faults import create_valid_key
from tests.localaws.server import REGION
from tests.policy_cases import POLICY_CASES
from tests.policy_changes import Case
from tests.policy_context import VENDOR, PolicyContext

PLACE = PolicyContext(PLATFORM_ROLE_ARN, REGION, CUSTOMER_ACCOUNT)
# The cases with additional conditions that this module runs. Each case needs a complete provisioning run, so only
# tests/localaws runs all of these cases.
CONDITIONS = {"S3: only objects", "S3: only one bucket", "S3: every bucket and object", "S3: until a past date"}
CASES = [
    case
    for case in POLICY_CASES
    if case.stops is not None and case.saved and (case not in CONDITION_CASES or case.name in CONDITIONS)
]
AT_ONCE = 8


async def test_provisioning_agrees_with_the_policy_check(machine: StackHarness) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{PLATFORM_ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    machine.aws.operator_client("iam").create_role(RoleName="AnotherRole", AssumeRolePolicyDocument=document)
    at_once = asyncio.Semaphore(AT_ONCE)

    async def disagreement(case: Case) -> str | None:
        async with at_once:
            return await _disagreement(machine, case)

    found = await asyncio.gather(*(disagreement(case) for case in CASES))

    assert [line for line in found if line] == []
    assert len(CASES) >= 60


async def _disagreement(machine: StackHarness, case: Case) -> str | None:
    """Provision an environment with a case's key policy.

    Returns:
        How the outcome differs from the result of the policy check, or None if the outcome and the check agree.
    """
    policy, kms = case.build_policy(PLACE), machine.aws.customer_client("kms")
    made = await asyncio.to_thread(lambda: kms.create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"])
    other = KeyPurpose.RDS if case.which is KeyPurpose.S3 else KeyPurpose.S3
    right = await asyncio.to_thread(create_valid_key, machine.aws, other)
    request = machine.build_request(**{f"{case.which}_key_arn": made, f"{other}_key_arn": right})
    side = PlatformPrincipal(PLACE.role, REGION, made, datetime.now(UTC))
    usable = check_policy(policy, case.which, side, VENDOR).is_usable

    status = await machine.provision(request)

    keys = {problem.key for problem in status.problems}
    ended = (status.phase, keys)
    left = await asyncio.to_thread(
        lambda: [
            *machine.list_environment_clusters(request.environment_id),
            *machine.list_environment_buckets(request.environment_id),
        ]
    )
    expected = (Phase.READY, set()) if usable else (Phase.STOPPED, {case.which})
    if ended == expected and usable is not case.stops and bool(left) is usable:
        return None
    return f"{case.name}: the check says {usable}, the provisioning ended {ended} and left {len(left)} resources"
