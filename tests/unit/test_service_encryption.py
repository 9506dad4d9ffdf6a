"""`EnvironmentService` refuses a kind of encryption that differs from the environment's own (contract 9, 132)."""

import pytest

from byok.contracts import environment_workflow_id
from byok.domain.encryption import ENCRYPTION_CANNOT_CHANGE_CODE
from byok.domain.models import DeleteRequest, ProvisionRequest
from byok.domain.phases import Encryption, Phase
from byok.domain.problems.remediation import Remedy
from byok.service.environments import EnvironmentService
from byok.service.errors import (
    DeletionDiffersError,
    EncryptionCannotChangeError,
    EnvironmentNotReadyError,
    NoCustomerKeysError,
    NotReplayableError,
)
from byok.service.replay import find_replay_options
from byok.service.status import EnvironmentStatus
from tests.requested_keys import ON_PLATFORM_KEYS, build_platform_failure
from tests.workflows.fake_activities import (
    RDS_KEY,
    REGION,
    S3_KEY,
    build_aws_failure,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended

PLATFORM_MANAGED, CUSTOMER_MANAGED = Encryption.PLATFORM_MANAGED, Encryption.CUSTOMER_MANAGED


def build_request(environment_id: str, encryption: Encryption) -> ProvisionRequest:
    return build_provision_request(environment_id, **(ON_PLATFORM_KEYS if encryption is PLATFORM_MANAGED else {}))


async def provision(
    service: EnvironmentService, environment_id: str, encryption: Encryption = PLATFORM_MANAGED
) -> EnvironmentStatus:
    await service.create(build_request(environment_id, encryption))
    return await wait_until_ended(service, environment_id)


@pytest.mark.parametrize("encryption", Encryption)
async def test_environment_shows_its_encryption(
    service: EnvironmentService, environment_id: str, encryption: Encryption
) -> None:
    ready = await provision(service, environment_id, encryption)
    assert (ready.phase, ready.encryption) == (Phase.READY, encryption)
    assert ready.evidence is not None
    assert ready.evidence.encryption is encryption
    (listed,) = [one for one in await service.list_environments() if one.environment_id == environment_id]
    assert listed.encryption is encryption
    assert not (await service.create(build_request(environment_id, encryption))).started


@pytest.mark.parametrize("encryption", Encryption)
async def test_ready_environment_cannot_be_created_again_with_the_other_encryption(
    service: EnvironmentService, environment_id: str, encryption: Encryption
) -> None:
    await provision(service, environment_id, encryption)
    other = CUSTOMER_MANAGED if encryption is PLATFORM_MANAGED else PLATFORM_MANAGED
    with pytest.raises(EncryptionCannotChangeError) as refusal:
        await service.create(build_request(environment_id, other))
    assert f"uses {encryption} keys and cannot be switched to {other} keys" in str(refusal.value)
    assert "or create an environment with another name" in str(refusal.value)
    assert (await service.read_status(environment_id)).phase is Phase.READY


async def test_stopped_environment_with_a_cluster_keeps_its_encryption(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [build_platform_failure(Phase.CREATING_STORAGE)]
    assert (await provision(service, environment_id)).phase is Phase.STOPPED
    with pytest.raises(EncryptionCannotChangeError):
        await service.create(build_request(environment_id, CUSTOMER_MANAGED))


async def test_environment_that_created_nothing_may_be_requested_anew(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    """`EnvironmentService` accepts the request.

    The workflow would refuse the request if AWS reported resources of an earlier run.
    """
    disabled = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.VALIDATING_KEYS)
    harness.activities.script["probe_s3_key"] = [disabled]
    await provision(service, environment_id, CUSTOMER_MANAGED)
    assert (await provision(service, environment_id)).phase is Phase.READY


async def test_platform_fault_offers_a_retry_without_other_keys(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_cluster"] = [build_platform_failure(Phase.CREATING_CLUSTER)]
    stopped = await provision(service, environment_id)
    options = find_replay_options(stopped)
    assert options is not None
    assert (options.same_keys, options.other_keys) == (True, ())
    with pytest.raises(EncryptionCannotChangeError, match="uses platform-managed keys"):
        await service.replay(environment_id, s3_key_arn=S3_KEY)
    await service.replay(environment_id)
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_vanished_resource_starts_over_on_the_platform_keys(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["collect_evidence"] = [
        build_platform_failure(Phase.VERIFYING, "byok.VerificationFailed", Remedy.UNPROVED)
    ]
    await provision(service, environment_id)
    assert (await service.replay(environment_id)).step is None
    ready = await wait_until_ended(service, environment_id)
    assert (ready.phase, ready.encryption) == (Phase.READY, PLATFORM_MANAGED)


async def test_wrong_input_in_temporal_does_not_lock_the_environment(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await provision(service, environment_id)
    refusal = build_platform_failure(
        Phase.CREATING_CLUSTER, ENCRYPTION_CANNOT_CHANGE_CODE, Remedy.ENCRYPTION_CANNOT_CHANGE
    )
    harness.activities.script["ensure_cluster"] = [refusal]
    await harness.start_provision(build_request(environment_id, CUSTOMER_MANAGED))
    stopped = await wait_until_ended(service, environment_id)
    assert stopped.problem is not None
    assert stopped.problem.code == ENCRYPTION_CANNOT_CHANGE_CODE
    with pytest.raises(NotReplayableError, match="with all values and the environment's kind of encryption"):
        await service.replay(environment_id)
    assert (await provision(service, environment_id)).phase is Phase.READY


async def test_no_tenant_name_is_put_on_platform_keys(service: EnvironmentService, environment_id: str) -> None:
    ready = await provision(service, environment_id)
    assert ready.tenant_name == environment_id  # contract 131
    with pytest.raises(NoCustomerKeysError, match=f"Its tenant name is {environment_id}"):
        await service.build_reconcile_tenant_request(environment_id)


async def test_deletion_needs_no_keys(service: EnvironmentService, environment_id: str) -> None:
    await provision(service, environment_id)
    request = await service.build_delete_request(environment_id)
    assert (request.region, request.encryption) == (REGION, PLATFORM_MANAGED)
    assert (request.s3_key_arn, request.rds_key_arn) == (None, None)
    await service.delete(request)
    deleted = await wait_until_ended(service, environment_id)
    assert (deleted.phase, deleted.encryption) == (Phase.DELETED, PLATFORM_MANAGED)
    assert (await service.create(build_request(environment_id, CUSTOMER_MANAGED))).started


async def test_deletion_with_the_other_encryption_is_refused(service: EnvironmentService, environment_id: str) -> None:
    await provision(service, environment_id)
    with pytest.raises(EncryptionCannotChangeError):
        await service.build_delete_request(environment_id, s3_key_arn=S3_KEY, rds_key_arn=RDS_KEY)
    other = f"{environment_id[:20]}-other"
    await provision(service, other, CUSTOMER_MANAGED)
    with pytest.raises(EncryptionCannotChangeError):
        await service.build_delete_request(other, encryption=PLATFORM_MANAGED)


async def test_deletion_in_another_region_is_refused(service: EnvironmentService, environment_id: str) -> None:
    await provision(service, environment_id)
    with pytest.raises(DeletionDiffersError, match=f"its Region is {REGION}, not us-east-1"):  # contract 137
        await service.build_delete_request(environment_id, region="us-east-1")


async def test_deletion_of_a_run_that_made_nothing_leaves_the_encryption_to_aws(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_cluster"] = [build_platform_failure(Phase.CREATING_CLUSTER)]
    assert (await provision(service, environment_id)).phase is Phase.STOPPED
    request = await service.build_delete_request(environment_id, s3_key_arn=S3_KEY, rds_key_arn=RDS_KEY)
    assert (request.encryption, request.s3_key_arn) == (CUSTOMER_MANAGED, S3_KEY)
    assert (await service.build_delete_request(environment_id)).encryption is None  # contract 137


async def test_deletion_of_an_unknown_environment_can_say_platform_managed(service: EnvironmentService) -> None:
    request = await service.build_delete_request("forgotten", region=REGION, encryption=PLATFORM_MANAGED)
    assert request == DeleteRequest.model_validate(
        {"environment_id": "forgotten", "confirm": "forgotten", "region": REGION, **ON_PLATFORM_KEYS}
    )


async def test_unknown_region_is_asked_for(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await harness.client.start_workflow(
        "ProvisionEnvironment", {"region": 7}, id=environment_workflow_id(environment_id), task_queue=harness.task_queue
    )
    await wait_until_ended(service, environment_id)
    with pytest.raises(EnvironmentNotReadyError, match=r"The Region of .* is unknown"):
        await service.build_delete_request(environment_id)
