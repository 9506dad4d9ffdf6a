"""The records of the audit trail: who requested what, why, when, and with which outcome (contract 147)."""

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal, Self

from pydantic import Field

from byok.contracts import (
    CHECK_KEY_HEALTH_WORKFLOW,
    CHECK_KEYS_WORKFLOW,
    DELETE_ENVIRONMENT_WORKFLOW,
    DELIVER_NOTIFICATION_WORKFLOW,
    ENVIRONMENT_RECORD_WORKFLOW,
    GET_EXTERNAL_ID_WORKFLOW,
    LIST_ACCOUNTS_WORKFLOW,
    LIST_KEY_CLAIMS_WORKFLOW,
    PROVE_AURORA_KEY_WORKFLOW,
    PROVISION_ENVIRONMENT_WORKFLOW,
    REBUILD_RECORDS_WORKFLOW,
    RECONCILE_TENANT_WORKFLOW,
    REGISTER_ACCOUNT_WORKFLOW,
    UNREGISTER_ACCOUNT_WORKFLOW,
    VERIFY_ENVIRONMENT_WORKFLOW,
)
from byok.domain.arns import InvalidKeyArnError, parse_key_arn
from byok.domain.models import Requester
from byok.domain.models.base import RecordModel
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, ENVIRONMENT_ID_PATTERN
from byok.domain.regions import REGIONS
from byok.domain.scopes import ORGANISATION_PATTERN

UNAUTHENTICATED: Final = "unauthenticated"
"""The subject of a request whose sender was not authenticated."""


class RecordKind(StrEnum):
    """When a record was written.

    `INTENT` is written before byok acts on a request, and `OUTCOME` is written afterwards. A worker writes `RUN` before
    the first activity of a workflow, and when it detects that a run was cancelled or terminated in Temporal.
    """

    INTENT = "intent"
    OUTCOME = "outcome"
    RUN = "run"


class AuditAction(StrEnum):
    """What a request asks byok to do."""

    CREATE_ENVIRONMENT = "environment.create"
    REPLAY_ENVIRONMENT = "environment.replay"
    CANCEL = "workflow.cancel"
    TERMINATE = "workflow.terminate"
    DELETE_ENVIRONMENT = "environment.delete"
    SET_TENANT_NAME = "tenant.set"
    REBUILD_RECORDS = "records.rebuild"
    VERIFY_ENVIRONMENT = "environment.verify"
    CHECK_KEY_HEALTH = "keys.check-health"
    CHECK_KEYS = "keys.check"
    PROVE_AURORA_KEY = "keys.prove-aurora"
    REGISTER_ACCOUNT = "account.register"
    UNREGISTER_ACCOUNT = "account.unregister"
    SIGN_IN = "session.sign-in"
    SIGN_OUT = "session.sign-out"


class AuditOutcome(StrEnum):
    """The outcome of a request.

    `ACCEPTED` means that byok carried out the request, or that Temporal accepted the workflow that carries it out.
    `REFUSED` means that byok changed nothing. `FAILED` means that part of the request might have been carried out.
    """

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAILED = "failed"


WORKFLOW_ACTIONS: Final[Mapping[str, AuditAction | None]] = {
    PROVISION_ENVIRONMENT_WORKFLOW: AuditAction.CREATE_ENVIRONMENT,
    DELETE_ENVIRONMENT_WORKFLOW: AuditAction.DELETE_ENVIRONMENT,
    RECONCILE_TENANT_WORKFLOW: AuditAction.SET_TENANT_NAME,
    CHECK_KEYS_WORKFLOW: AuditAction.CHECK_KEYS,
    PROVE_AURORA_KEY_WORKFLOW: AuditAction.PROVE_AURORA_KEY,
    REGISTER_ACCOUNT_WORKFLOW: AuditAction.REGISTER_ACCOUNT,
    UNREGISTER_ACCOUNT_WORKFLOW: AuditAction.UNREGISTER_ACCOUNT,
    LIST_ACCOUNTS_WORKFLOW: None,
    GET_EXTERNAL_ID_WORKFLOW: None,
    LIST_KEY_CLAIMS_WORKFLOW: None,
    ENVIRONMENT_RECORD_WORKFLOW: None,
    DELIVER_NOTIFICATION_WORKFLOW: None,
    REBUILD_RECORDS_WORKFLOW: AuditAction.REBUILD_RECORDS,
    VERIFY_ENVIRONMENT_WORKFLOW: AuditAction.VERIFY_ENVIRONMENT,
    CHECK_KEY_HEALTH_WORKFLOW: AuditAction.CHECK_KEY_HEALTH,
}
"""The audit action of each workflow type.

None means that byok writes no audit record for the workflow, because the workflow uses no customer key and changes
neither an environment nor a registration. The workflows for environment records and for notification deliveries only
repeat what other audited runs report.
"""


class AuditTarget(RecordModel):
    """The target of a request. A field is empty if the request does not contain the value, or if the value is invalid.

    Attributes:
        organisation: The organisation that owns the environment or the account.
        accounts: The AWS accounts that own the keys, or the account to register.
        key_arns: The keys in the request.
    """

    environment_id: str | None = None
    organisation: str | None = None
    accounts: tuple[str, ...] = ()
    region: str | None = None
    key_arns: tuple[str, ...] = ()

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Build the target from a request's fields.

        A value that is invalid for its field is left out, because the value might be a secret that was entered by
        mistake.
        """
        keys = [_key(fields.get(name)) for name in ("s3_key_arn", "rds_key_arn")]
        found = [key for key in keys if key is not None]
        accounts = [account for _, account in found] + [_matching(fields.get("account"), r"^[0-9]{12}$") or ""]
        environment_id = _matching(fields.get("environment_id"), ENVIRONMENT_ID_PATTERN)
        region = fields.get("region")
        return cls(
            environment_id=environment_id if len(environment_id or "") <= ENVIRONMENT_ID_MAX_LENGTH else None,
            organisation=_matching(fields.get("organisation"), ORGANISATION_PATTERN),
            accounts=tuple(dict.fromkeys(account for account in accounts if account)),
            region=region if region in REGIONS else None,
            key_arns=tuple(dict.fromkeys(arn for arn, _ in found)),
        )


class AuditRecord(RecordModel):
    """One line of the audit trail. docs/audit.md describes the schema.

    Attributes:
        record_id: The id of the record. If several workers record the same action on a run, their records have the same
            id.
        recorded_at: When byok wrote the record.
        requester: Who made the request, and why. If byok does not know the requester, the subject is the identity that
            Temporal recorded.
        temporal_identity: The identity that Temporal recorded for the client that started, reset, cancelled or
            terminated the run; only in records of the kind `run`.
        code: The code of the problem, if the request was refused or failed.
    """

    schema_version: Literal[1] = 1
    record_id: str = Field(default_factory=lambda: str(uuid.uuid4()))
    kind: RecordKind
    recorded_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    action: AuditAction
    requester: Requester
    target: AuditTarget = AuditTarget()
    workflow_id: str | None = None
    run_id: str | None = None
    temporal_identity: str | None = None
    outcome: AuditOutcome | None = None
    code: str | None = None


def build_run_record_id(run_id: str, action: AuditAction) -> str:
    """Return the id of the audit record for an action on a run. Every worker computes the same id."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run_id}/{action}"))


def _key(arn: object) -> tuple[str, str] | None:
    """Return a key's ARN and account, or None if the text is not a key ARN."""
    if not isinstance(arn, str):
        return None
    try:
        key = parse_key_arn(arn.strip())
    except InvalidKeyArnError:
        return None
    return str(key), key.account


def _matching(value: object, pattern: str) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(pattern, value) else None
