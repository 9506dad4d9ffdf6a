"""Put a tenant name on both keys, either in a separate workflow or as the last phase of provisioning."""

import asyncio
import threading
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from byok.contracts import ENVIRONMENT_ID_ATTRIBUTE, PROBLEM_CODE_ATTRIBUTE, RECONCILE_TENANT_WORKFLOW
from byok.domain.arns import KeyPurpose
from byok.domain.phases import Phase
from tests.remedy_text import text_of
from tests.workflows.fake_activities import (
    RDS_KEY,
    ROLE,
    S3_KEY,
    build_aws_failure,
    build_provision_request,
    build_tenant_request,
    parse_problems,
)
from tests.workflows.temporal_env import WorkflowHarness

NOT_THE_ROLE = ("sts", "AccessDenied", "User: … is not authorized to perform: sts:AssumeRole on resource: …")
DENIED = ("kms", "AccessDeniedException", "User: … is not authorized to perform: kms:CreateAlias on resource: …")


async def wait_for_failure(handle: Any) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


async def test_tenant_name_is_assigned_once_the_environment_is_ready(
    harness: WorkflowHarness, environment_id: str
) -> None:
    handle = await harness.start_provision(build_provision_request(environment_id))
    await handle.result()

    assert (await harness.read_progress(environment_id)).tenant_name == environment_id  # contract 12, 100, 131
    shown = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert f"Tenant name: `{environment_id}`" in shown.current_details


async def test_each_key_has_its_own_reconcile_activity(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.start_reconcile_tenant(build_tenant_request(environment_id, repoint=True))

    outcome = await handle.result()

    assert harness.activities.calls == ["plan_tenant", "probe_environment", "reconcile_key", "reconcile_key"]
    assert [(key.key, key.alias) for key in outcome.keys] == [
        (KeyPurpose.S3, "alias/ataccama-objectstorage-byok-encryption-key-alias-for-acme"),
        (KeyPurpose.RDS, "alias/ataccama-database-byok-db-key-alias-acme"),
    ]
    assert all(task.repoint for task in harness.activities.inputs["reconcile_key"])
    described = await handle.describe()
    assert described.typed_search_attributes[ENVIRONMENT_ID_ATTRIBUTE] == environment_id


async def test_without_a_role_nothing_changes_and_the_commands_are_returned(
    harness: WorkflowHarness, environment_id: str
) -> None:
    outcome = await (
        await harness.start_reconcile_tenant(build_tenant_request(environment_id, tenant_role_arn=None))
    ).result()

    assert harness.activities.calls == ["plan_tenant", "build_tenant_commands"]  # D11
    assert outcome.keys == ()
    by_stack, by_hand, _, _ = outcome.commands
    assert "TenantName=acme" in by_stack  # contract 108
    for part in ("aws kms create-alias", "aws kms tag-resource", S3_KEY, RDS_KEY):  # D10
        assert part in by_hand


async def test_tenant_name_can_be_set_repeatedly(harness: WorkflowHarness, environment_id: str) -> None:
    for tenant in ("acme", "acme", "globex"):
        outcome = await (
            await harness.start_reconcile_tenant(build_tenant_request(environment_id, tenant=tenant))
        ).result()
        assert outcome.tenant == tenant


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"tenant": "a b"}, "tenant.IllegalName"),
        ({"tenant": "x" * 198}, "tenant.IllegalName"),
        ({"tenant": ""}, "tenant.IllegalName"),
        ({"tenant_role_arn": "arn:aws:iam::777788889999:role/R"}, "tenant.RoleOfAnotherAccount"),
        ({"tenant_role_arn": "arn:aws-cn:iam::444455556666:role/R"}, "tenant.RoleOfAnotherPartition"),
        ({"s3_key_arn": "alias/x"}, "arn.AliasNotAllowed"),
    ],
)
async def test_invalid_request_stops_before_aws_is_called(
    harness: WorkflowHarness, environment_id: str, changes: dict[str, Any], code: str
) -> None:
    failure = await wait_for_failure(
        await harness.start_reconcile_tenant(build_tenant_request(environment_id, **changes))
    )

    assert harness.activities.calls == ["plan_tenant"]
    assert parse_problems(failure)[0].code == failure.type == code
    last = text_of(parse_problems(failure)[0].remediation).splitlines()[-1]
    assert "retry" in last.lower()
    assert "environment" not in last


async def test_refused_key_stops_but_the_other_key_is_named(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["reconcile_key"] = [build_aws_failure(*DENIED, Phase.RECONCILING_TENANT)]
    handle = await harness.start_reconcile_tenant(build_tenant_request(environment_id))

    (problem,) = parse_problems(await wait_for_failure(handle))

    assert problem.code == "kms.AccessDeniedException"
    assert problem.phase is Phase.RECONCILING_TENANT
    assert harness.activities.calls.count("reconcile_key") == 2
    described = await handle.describe()
    assert described.typed_search_attributes[PROBLEM_CODE_ATTRIBUTE] == "kms.AccessDeniedException"
    told = await harness.read_tenant_progress(environment_id)
    assert told.problems == (problem,)
    assert told.outcome is not None
    assert [key.key for key in told.outcome.keys] == [KeyPurpose.RDS]


async def test_refused_role_is_reported_once_and_skips_the_other_key(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["reconcile_key"] = [build_aws_failure(*NOT_THE_ROLE, Phase.RECONCILING_TENANT)]

    (problem,) = parse_problems(
        await wait_for_failure(await harness.start_reconcile_tenant(build_tenant_request(environment_id)))
    )

    assert (problem.code, problem.key) == ("sts.AccessDenied", None)
    assert harness.activities.calls.count("reconcile_key") == 1


async def test_keys_of_another_environment_are_left_unchanged(harness: WorkflowHarness, environment_id: str) -> None:
    (found,) = parse_problems(build_aws_failure(*DENIED, Phase.RECONCILING_TENANT))
    harness.activities.findings = (found.model_copy(update={"code": "byok.NotThisEnvironmentsKeys"}),)

    failure = await wait_for_failure(await harness.start_reconcile_tenant(build_tenant_request(environment_id)))

    assert failure.type == "byok.NotThisEnvironmentsKeys"
    assert harness.activities.calls == ["plan_tenant", "probe_environment"]  # contract 123


async def test_commands_are_returned_on_request_despite_a_role(harness: WorkflowHarness, environment_id: str) -> None:
    outcome = await (
        await harness.start_reconcile_tenant(build_tenant_request(environment_id, commands_only=True))
    ).result()

    assert harness.activities.calls == ["plan_tenant", "build_tenant_commands"]
    assert "TenantName=acme" in outcome.commands[0]
    told = await harness.read_tenant_progress(environment_id)
    assert told.confirmed_role_arn == told.request.tenant_role_arn is not None


@pytest.mark.parametrize("step", ["plan_tenant", "probe_environment", "reconcile_key"])
async def test_activity_failure_without_a_problem_gets_one(
    harness: WorkflowHarness, environment_id: str, step: str
) -> None:
    harness.activities.script[step] = [ApplicationError("a defect", type="Mistake", non_retryable=True)]

    failure = await wait_for_failure(await harness.start_reconcile_tenant(build_tenant_request(environment_id)))

    (problem,) = parse_problems(failure)
    assert (problem.code, problem.message) == ("worker.Mistake", "Mistake: a defect")
    assert text_of(problem.remediation).endswith("byok skips a key that already has the name.")
    assert (await harness.read_tenant_progress(environment_id)).problems == (problem,)


async def test_cancelled_naming_keeps_and_reports_completed_work(harness: WorkflowHarness, environment_id: str) -> None:
    begun, release = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        release.wait(60)

    harness.activities.script["reconcile_key"] = [hold]
    handle = await harness.start_reconcile_tenant(build_tenant_request(environment_id))
    await asyncio.to_thread(begun.wait, 10)
    await handle.cancel()
    release.set()

    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()

    assert isinstance(caught.value.cause, CancelledError)
    assert harness.activities.calls.count("reconcile_key") == 1
    told = await harness.read_tenant_progress(environment_id)
    assert [problem.code for problem in told.problems] == ["byok.Cancelled"]
    assert told.outcome is not None
    assert [key.key for key in told.outcome.keys] == [KeyPurpose.S3]


async def test_outcome_is_published_in_memo_and_current_details(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.start_reconcile_tenant(build_tenant_request(environment_id))
    outcome = await handle.result()

    told = await harness.read_tenant_progress(environment_id)
    assert (told.outcome, told.problems) == (outcome, ())
    shown = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    for key in outcome.keys:
        assert key.alias in shown.current_details


async def test_wrong_workflow_id_is_refused(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.client.start_workflow(
        RECONCILE_TENANT_WORKFLOW,
        build_tenant_request(environment_id),
        id=f"my/{environment_id}",
        task_queue=harness.task_queue,
    )
    failure = await wait_for_failure(handle)
    assert failure.type == "InvalidInput"
    assert f"tenant/{environment_id}" in failure.message


@pytest.mark.parametrize("given", [{}, {"environment_id": "a"}, [1], "acme", {"tenant_role_arn": "x"}])
async def test_malformed_input_fails_at_once(harness: WorkflowHarness, environment_id: str, given: Any) -> None:
    handle = await harness.client.start_workflow(
        RECONCILE_TENANT_WORKFLOW, given, id=f"tenant/{environment_id}", task_queue=harness.task_queue
    )
    assert (await wait_for_failure(handle)).type == "InvalidInput"


async def test_provisioning_with_a_tenant_names_the_keys_last(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.start_provision(build_provision_request(environment_id, tenant="acme", tenant_role_arn=ROLE))

    evidence = await handle.result()

    progress = await harness.read_progress(environment_id)
    entered = [entry.phase for entry in progress.timeline]
    assert entered[-3:] == [Phase.VERIFYING, Phase.RECONCILING_TENANT, Phase.READY]
    assert progress.tenant is not None
    assert len(progress.tenant.keys) == 2
    assert progress.evidence == evidence
    assert harness.activities.calls[-2:] == ["reconcile_key", "reconcile_key"]


async def test_provisioning_without_a_role_is_ready_with_the_commands(
    harness: WorkflowHarness, environment_id: str
) -> None:
    await (await harness.start_provision(build_provision_request(environment_id, tenant="acme"))).result()

    progress = await harness.read_progress(environment_id)
    assert progress.phase is Phase.READY
    assert progress.tenant is not None
    assert "TenantName=acme" in progress.tenant.commands[0]
    assert "reconcile_key" not in harness.activities.calls


async def test_illegal_name_stops_a_provisioning_before_anything_is_created(
    harness: WorkflowHarness, environment_id: str
) -> None:
    failure = await wait_for_failure(
        await harness.start_provision(build_provision_request(environment_id, tenant="a b"))
    )

    assert failure.type == "tenant.IllegalName"  # contract 105
    assert "ensure_cluster" not in harness.activities.calls


async def test_failed_naming_stops_and_removes_nothing(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["reconcile_key"] = [
        build_aws_failure(*DENIED, Phase.RECONCILING_TENANT) for _ in range(2)
    ]
    handle = await harness.start_provision(
        build_provision_request(environment_id, tenant="acme", tenant_role_arn=ROLE, on_failure="rollback")
    )

    failure = await wait_for_failure(handle)

    assert [problem.code for problem in parse_problems(failure)] == ["kms.AccessDeniedException"] * 2
    progress = await harness.read_progress(environment_id)
    assert progress.phase is Phase.STOPPED
    assert all("provisioning resumes where it stopped" in text_of(problem.remediation) for problem in progress.problems)
    assert progress.evidence is not None  # contract 11: the environment works without a tenant name
    assert progress.resources.cluster is not None
    assert not [call for call in harness.activities.calls if call.startswith("remove")]


async def test_partly_failed_naming_keeps_the_result_of_the_other_key(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["reconcile_key"] = [build_aws_failure(*DENIED, Phase.RECONCILING_TENANT)]

    await wait_for_failure(
        await harness.start_provision(build_provision_request(environment_id, tenant="acme", tenant_role_arn=ROLE))
    )

    progress = await harness.read_progress(environment_id)
    assert progress.tenant is not None
    assert [key.key for key in progress.tenant.keys] == [KeyPurpose.RDS]
