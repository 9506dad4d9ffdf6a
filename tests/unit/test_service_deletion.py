"""byok refuses a deletion request whose Region or keys differ from the environment's own (contract 137)."""

from typing import Any

import pytest

from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.service.errors import DeletionDiffersError, EnvironmentNotFoundError
from byok.service.status import EnvironmentStatus
from tests.workflows.fake_activities import (
    RDS_KEY,
    REGION,
    S3_KEY,
    build_aws_failure,
    build_delete_request,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness

OTHER_KEY = f"arn:aws:kms:{REGION}:444455556666:key/99999999-9999-4999-8999-999999999999"
DISABLED = ("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.")


async def provision(service: EnvironmentService, environment_id: str, **changes: Any) -> EnvironmentStatus:
    """Provision an environment, and return its status at the end of the workflow."""
    await service.create(build_provision_request(environment_id, **changes))
    async for status in service.watch_status(environment_id):
        last = status
    return last


@pytest.mark.parametrize(
    ("given", "label", "known"),
    [
        ({"region": "us-east-1"}, "its Region is", REGION),
        ({"s3_key_arn": OTHER_KEY}, "its S3 key ARN is", S3_KEY),
        ({"rds_key_arn": OTHER_KEY}, "its RDS key ARN is", RDS_KEY),
    ],
)
async def test_other_values_than_the_known_ones_are_refused_and_both_are_named(
    service: EnvironmentService, environment_id: str, given: dict[str, Any], label: str, known: str
) -> None:
    assert (await provision(service, environment_id)).phase is Phase.READY

    with pytest.raises(DeletionDiffersError) as caught:
        await service.build_delete_request(environment_id, **given)

    (value,) = given.values()
    assert f"{label} {known}, not {value}" in str(caught.value)  # contract 137


async def test_known_values_may_be_repeated(service: EnvironmentService, environment_id: str) -> None:
    await provision(service, environment_id)

    request = await service.build_delete_request(environment_id, region=REGION, s3_key_arn=S3_KEY, rds_key_arn=RDS_KEY)

    assert (request.region, request.s3_key_arn, request.rds_key_arn) == (REGION, S3_KEY, RDS_KEY)


async def test_key_that_encrypts_nothing_yet_is_left_to_aws(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [build_aws_failure(*DISABLED, Phase.CREATING_STORAGE)]
    assert (await provision(service, environment_id)).phase is Phase.STOPPED

    request = await service.build_delete_request(environment_id)

    assert (request.region, request.s3_key_arn, request.rds_key_arn) == (REGION, None, RDS_KEY)
    with pytest.raises(DeletionDiffersError):
        await service.build_delete_request(environment_id, rds_key_arn=OTHER_KEY)


async def test_run_that_created_nothing_proves_nothing(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED, Phase.VALIDATING_KEYS)]
    await provision(service, environment_id)

    request = await service.build_delete_request(environment_id, region="us-east-1", s3_key_arn=OTHER_KEY)

    # The workflow compares the requested Region and keys with the Region and keys that AWS reports.
    assert (request.region, request.s3_key_arn, request.rds_key_arn) == ("us-east-1", OTHER_KEY, None)
    assert (await service.build_delete_request(environment_id)).region == REGION


async def test_environment_that_temporal_does_not_know_needs_its_region(
    service: EnvironmentService, environment_id: str
) -> None:
    with pytest.raises(EnvironmentNotFoundError, match="pass the environment's Region"):
        await service.build_delete_request(environment_id)

    request = await service.build_delete_request(environment_id, region=REGION)

    assert (request.region, request.s3_key_arn, request.rds_key_arn) == (REGION, None, None)


async def test_stopped_deletion_for_a_wrong_region_can_be_repeated_for_the_right_one(
    service: EnvironmentService, environment_id: str
) -> None:
    await service.delete(build_delete_request(environment_id, region="us-west-2"))
    async for status in service.watch_status(environment_id):
        stopped = status
    assert stopped.problem is not None
    assert stopped.problem.code == "byok.RegionNotInUse"

    assert (await service.build_delete_request(environment_id, region=REGION)).region == REGION
