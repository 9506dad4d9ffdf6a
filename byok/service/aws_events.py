"""Starts a health check of each environment that is affected by an AWS event (contract 141)."""

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from byok.audit.record import AuditAction
from byok.contracts import CHECK_AGAIN_SIGNAL, VERIFY_ENVIRONMENT_WORKFLOW, verification_workflow_id
from byok.domain.arns import KeyPurpose
from byok.domain.aws_events import EventSubject
from byok.domain.models import HealthTarget, KeyDeletion, KeyDeletionReport, VerificationRequest
from byok.service.environment_reader import EnvironmentReader
from byok.service.temporal_errors import translate_temporal_errors
from byok.service.workflow_starts import build_priority, build_requester_memo
from byok.temporal_health import list_targets, to_target
from byok.temporal_records import find_record, send_report


async def check_subject(reader: EnvironmentReader, subject: EventSubject) -> list[str]:
    """Start a health check of each READY environment that is affected by an event, without waiting for the results.

    If an environment is already being checked, byok repeats the check afterwards, because the check in progress may
    have read the state before the event occurred. An event that arrives twice therefore causes at most one additional
    check, so byok does not need to remember the ids of events.

    Returns:
        The ids of the environments; empty if no READY environment is affected.

    Raises:
        AuditUnavailableError: The audit record cannot be written, so nothing was started.
        TemporalUnreachableError: Temporal does not respond. Some checks may have been started.
    """
    with translate_temporal_errors():
        targets = await _find_targets(reader.client, subject)
    for target in targets:
        request = VerificationRequest(**{name: getattr(target, name) for name in VerificationRequest.model_fields})
        # An event rarely affects more than one environment, because environments do not share keys.
        await reader.record_intent(AuditAction.VERIFY_ENVIRONMENT, request.model_dump())
        with translate_temporal_errors():
            await _report_deletion(reader, target, subject)
            await _start_check(reader, request)
    return [one.environment_id for one in targets]


async def _find_targets(client: Client, subject: EventSubject) -> list[HealthTarget]:
    """Return the READY environments that are affected by an event.

    Temporal cannot search records by key, so byok reads the records of all READY environments in the Region.
    """
    if subject.environment_id is not None:
        record = await find_record(client, subject.environment_id)
        target = to_target(record.summary) if record is not None and record.is_open else None
        return [target] if target is not None and target.region == subject.region else []
    found: list[HealthTarget] = []
    after: str | None = None
    while True:
        page, after = await list_targets(client, subject.region, after)
        found += [one for one in page if subject.key_arns & {one.s3_key_arn, one.rds_key_arn}]
        if after is None:
            return found


async def _report_deletion(reader: EnvironmentReader, target: HealthTarget, subject: EventSubject) -> None:
    """Report a scheduled or cancelled deletion of a key to the environment's record (contract 142).

    The record keeps the report of a scheduled deletion until a later check proves that the key still works.
    """
    if subject.deletion is None:
        return
    arns = {KeyPurpose.S3: target.s3_key_arn, KeyPurpose.RDS: target.rds_key_arn}
    for key, key_arn in arns.items():
        if key_arn is None or key_arn not in subject.key_arns:
            continue
        said = KeyDeletion(
            key=key,
            key_arn=key_arn,
            delete_at=subject.deletion.delete_at,
            reported_at=subject.deletion.reported_at,
        )
        report = KeyDeletionReport(
            environment_id=target.environment_id, organisation=target.organisation, deletion=said
        )
        await send_report(reader.client, reader.task_queue, report)


async def _start_check(reader: EnvironmentReader, request: VerificationRequest) -> None:
    """Start `VerifyEnvironment`. If the workflow is already running, make it check again."""
    handle = await reader.client.start_workflow(
        VERIFY_ENVIRONMENT_WORKFLOW,
        request,
        id=verification_workflow_id(request.environment_id),
        task_queue=reader.task_queue,
        memo=build_requester_memo(reader.requester) or None,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=CHECK_AGAIN_SIGNAL,
        priority=build_priority(request.organisation),
    )
    reader.note_run(handle.id, handle.first_execution_run_id)
