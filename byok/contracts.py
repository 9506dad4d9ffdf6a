"""Names shared by the code that starts workflows, the code that watches them, and the code that runs them."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from temporalio.common import SearchAttributeIndexedValueType, SearchAttributeKey

from byok.domain.arns import parse_key_arn
from byok.domain.models import (
    CheckKeysRequest,
    DeleteRequest,
    ExternalIdRequest,
    ListAccountsRequest,
    ListClaimsRequest,
    ProvisionRequest,
    ReconcileTenantRequest,
    RegionRequest,
)
from byok.domain.phases import Phase
from byok.domain.quotas import QUOTA_EXCEEDED_CODE

TASK_QUEUE: Final = "byok"

PROVISION_ENVIRONMENT_WORKFLOW: Final = "ProvisionEnvironment"
DELETE_ENVIRONMENT_WORKFLOW: Final = "DeleteEnvironment"
CHECK_KEYS_WORKFLOW: Final = "CheckKeys"
RECONCILE_TENANT_WORKFLOW: Final = "ReconcileTenant"
PROVE_AURORA_KEY_WORKFLOW: Final = "ProveAuroraKey"
LIST_KEY_CLAIMS_WORKFLOW: Final = "ListKeyClaims"
REGISTER_ACCOUNT_WORKFLOW: Final = "RegisterAccount"
UNREGISTER_ACCOUNT_WORKFLOW: Final = "UnregisterAccount"
LIST_ACCOUNTS_WORKFLOW: Final = "ListAccounts"
GET_EXTERNAL_ID_WORKFLOW: Final = "GetExternalId"
ENVIRONMENT_RECORD_WORKFLOW: Final = "EnvironmentRecord"
REBUILD_RECORDS_WORKFLOW: Final = "RebuildRecords"
CHECK_KEY_HEALTH_WORKFLOW: Final = "CheckKeyHealth"
VERIFY_ENVIRONMENT_WORKFLOW: Final = "VerifyEnvironment"
DELIVER_NOTIFICATION_WORKFLOW: Final = "DeliverNotification"

AURORA_PROOF_UPDATE: Final = "await_proof"
"""The update of `ProveAuroraKey` that returns the verdict."""

KEY_VERDICTS_QUERY: Final = "verdicts"
"""The query of `CheckKeys` that returns the verdicts so far. The verdicts are not in the memo, because only the page
that waits for a check reads them, and a check needs a worker anyway."""

ENVIRONMENT_WORKFLOWS: Final = (PROVISION_ENVIRONMENT_WORKFLOW, DELETE_ENVIRONMENT_WORKFLOW)
"""The workflows that run under an environment's workflow id."""

ENVIRONMENT_WORKFLOWS_QUERY: Final = (
    f"WorkflowType IN ('{PROVISION_ENVIRONMENT_WORKFLOW}', '{DELETE_ENVIRONMENT_WORKFLOW}')"
)
"""The visibility query that selects only the runs of environments."""

REQUEST_MODELS: Final[Mapping[str, type[RegionRequest]]] = {
    PROVISION_ENVIRONMENT_WORKFLOW: ProvisionRequest,
    DELETE_ENVIRONMENT_WORKFLOW: DeleteRequest,
    CHECK_KEYS_WORKFLOW: CheckKeysRequest,
    RECONCILE_TENANT_WORKFLOW: ReconcileTenantRequest,
}
"""The input model of each workflow whose input is a `RegionRequest`."""

ENVIRONMENT_ID_ATTRIBUTE: Final = SearchAttributeKey.for_keyword("EnvironmentId")
ORGANISATION_ATTRIBUTE: Final = SearchAttributeKey.for_keyword("Organisation")
PHASE_ATTRIBUTE: Final = SearchAttributeKey.for_keyword("EnvironmentPhase")
PROBLEM_CODE_ATTRIBUTE: Final = SearchAttributeKey.for_keyword("ProblemCode")
REGION_ATTRIBUTE: Final = SearchAttributeKey.for_keyword("EnvironmentRegion")
HEALTH_ATTRIBUTE: Final = SearchAttributeKey.for_keyword("EnvironmentHealth")
"""The search attribute of a READY environment's record, with the last reported health. It does not show how old the
last proof is."""

CREATED_AT_ATTRIBUTE: Final = SearchAttributeKey.for_datetime("EnvironmentCreatedAt")
"""The search attribute with the time at which an environment was first requested, to the millisecond. Replays, resets
and continue-as-new do not change it, so it gives the order of the list of environments (decision 0049)."""

CHECKED_KEYS_ATTRIBUTE: Final = SearchAttributeKey.for_keyword_list("CheckedKeys")
"""The search attribute of a key check, with a digest of each checked key (`byok.temporal_quotas.digest_key_arn`)."""

SEARCH_ATTRIBUTES: Final = (
    ENVIRONMENT_ID_ATTRIBUTE,
    ORGANISATION_ATTRIBUTE,
    PHASE_ATTRIBUTE,
    PROBLEM_CODE_ATTRIBUTE,
    REGION_ATTRIBUTE,
    HEALTH_ATTRIBUTE,
    CREATED_AT_ATTRIBUTE,
    CHECKED_KEYS_ATTRIBUTE,
)

PROGRESS_MEMO: Final = "progress"
"""The memo field that contains `byok.domain.models.EnvironmentProgress`."""

REQUESTER_MEMO: Final = "requested-by"
"""The memo field that contains the `byok.domain.models.Requester` of the request that started the workflow."""

TENANT_MEMO: Final = "tenant"
"""The memo field of `ReconcileTenant` that contains `byok.domain.models.TenantProgress`."""

IDEMPOTENCY_KEY_MEMO: Final = "request-key"
"""The memo field with the SHA-256 of the `Idempotency-Key`, if the request that started the run had such a header."""

ACCOUNT_OF_ANOTHER_ORGANISATION_CODE: Final = "byok.AccountOfAnotherOrganisation"
"""The problem code for an AWS account that is already registered for another organisation."""

ID_IN_USE_CODE: Final = "byok.EnvironmentExists"
"""The problem code of a run that changed nothing, because another environment's record has the same id."""

REFUSAL_CODES: Final = frozenset({ID_IN_USE_CODE, QUOTA_EXCEEDED_CODE})
"""The problem codes of runs that changed nothing. The environment's record says more about it than such a run."""

EARLIER_ATTEMPTS_MEMO: Final = "earlier-attempts"
"""The memo field that contains `byok.domain.models.EarlierAttempts`, if an earlier workflow has the same id."""

STOP_SIGNAL: Final = "record_stop"
"""The signal with which an environment's workflow reports that it has stopped, as
`byok.domain.models.StoppedAttempt`."""

RECORD_MEMO: Final = "record"
"""The memo field of `EnvironmentRecord` that contains `byok.domain.models.RecordSummary`."""

DELIVERY_MEMO: Final = "delivery"
"""The memo field of `DeliverNotification` that contains `byok.domain.models.DeliverySummary`."""

RUN_REPORT_SIGNAL: Final = "report_run"
"""The signal of `EnvironmentRecord` with which an environment's workflow reports: `byok.domain.models.RunReport`."""

TENANT_REPORT_SIGNAL: Final = "report_tenant"
"""The signal of `EnvironmentRecord` with which the tenant workflow reports: `byok.domain.models.TenantReport`."""

HEALTH_REPORT_SIGNAL: Final = "report_health"
"""The signal of `EnvironmentRecord` with which a check reports: `byok.domain.models.HealthReport`."""

KEY_DELETION_SIGNAL: Final = "report_key_deletion"
"""The signal of `EnvironmentRecord` with which the API reports what an AWS event says about the deletion of a key:
`byok.domain.models.KeyDeletionReport`."""

SWEEP_MEMO: Final = "sweep"
"""The memo field of a completed `CheckKeyHealth` that contains `byok.domain.models.SweepOutcome`."""

_UNFIT: Final = " unfit: "
_MAX_IDENTITY_LENGTH: Final = 500
"""Temporal rejects identities of more than 1,000 characters (`limit.maxIDLength`)."""

CHECK_AGAIN_SIGNAL: Final = "check_again"
"""The signal of `VerifyEnvironment` that makes a running check repeat itself: what AWS reported may be newer than what
the check has read."""

NO_HEALTH_ERROR_TYPE: Final = "NotReady"
"""The failure type of `VerifyEnvironment` for an environment that is not READY."""

INVALID_INPUT_ERROR_TYPE: Final = "InvalidInput"
"""The failure type of a workflow that received invalid input."""

INVALID_INPUT_PROBLEM_CODE: Final = "byok.InvalidInput"
"""The code of the problem that stops a workflow with invalid input."""

_ENVIRONMENT_PREFIX: Final = "environment/"
_TENANT_PREFIX: Final = "tenant/"
_RECORD_PREFIX: Final = "record/"
_VERIFICATION_PREFIX: Final = "verification/"
_DELIVERY_PREFIX: Final = "notification/"

REBUILD_RECORDS_WORKFLOW_ID: Final = "rebuild-records"
"""The id of `RebuildRecords`: only one run at a time rebuilds records."""


_ATTRIBUTE_TYPE_NAMES: Final = {
    SearchAttributeIndexedValueType.KEYWORD: "Keyword",
    SearchAttributeIndexedValueType.KEYWORD_LIST: "KeywordList",
    SearchAttributeIndexedValueType.DATETIME: "Datetime",
}


def name_attribute_type(key: SearchAttributeKey[Any]) -> str:
    """Return the name that Temporal's CLI uses for the type of a search attribute."""
    return _ATTRIBUTE_TYPE_NAMES[key.indexed_value_type]


def first_phase(workflow_type: str) -> Phase:
    """Return the phase to report for an environment before any worker has picked up its workflow."""
    return Phase.DELETING if workflow_type == DELETE_ENVIRONMENT_WORKFLOW else Phase.VALIDATING_KEYS


def environment_workflow_id(environment_id: str) -> str:
    """Return the workflow id of an environment.

    A second attempt to start the environment's workflow finds the run with this id.
    """
    return f"{_ENVIRONMENT_PREFIX}{environment_id}"


def environment_id_from_workflow_id(workflow_id: str) -> str:
    """Return the environment id that a workflow id contains."""
    return workflow_id.removeprefix(_ENVIRONMENT_PREFIX)


def tenant_workflow_id(environment_id: str) -> str:
    """Return the workflow id of `ReconcileTenant`.

    The id ensures that each environment has at most one run of this workflow at a time.
    """
    return f"{_TENANT_PREFIX}{environment_id}"


def record_workflow_id(environment_id: str) -> str:
    """Return the workflow id of the record of an environment."""
    return f"{_RECORD_PREFIX}{environment_id}"


def verification_workflow_id(environment_id: str) -> str:
    """Return the workflow id of `VerifyEnvironment`. Two requests at the same moment share one run."""
    return f"{_VERIFICATION_PREFIX}{environment_id}"


def health_schedule_id(region: str) -> str:
    """Return the id of the schedule that starts the sweeps of a Region."""
    return f"key-health/{region}"


def delivery_workflow_id(endpoint: str, notification_id: str) -> str:
    """Return the workflow id of the delivery of a notification to an endpoint.

    The id ensures that byok delivers a notification to an endpoint only once, no matter how often it is reported.
    """
    return f"{_DELIVERY_PREFIX}{endpoint}/{notification_id}"


def delivery_id_from_workflow_id(workflow_id: str) -> str:
    """Return the delivery id that a workflow id contains: `<endpoint>/<notification id>`."""
    return workflow_id.removeprefix(_DELIVERY_PREFIX)


def find_environment_id(workflow_id: str) -> str | None:
    """Return the environment id that a workflow id contains, or None if the workflow belongs to no environment."""
    for prefix in (_ENVIRONMENT_PREFIX, _TENANT_PREFIX, _RECORD_PREFIX, _VERIFICATION_PREFIX):
        if workflow_id.startswith(prefix):
            return workflow_id.removeprefix(prefix) or None
    return None


def key_check_workflow_id(request: CheckKeysRequest) -> str:
    """Return the workflow id of a key check.

    Identical checks have the same id and share one run.
    """
    digest = hashlib.sha256(request.model_dump_json().encode()).hexdigest()
    return f"keys/{digest[:16]}"


def claims_workflow_id(request: ListClaimsRequest) -> str:
    """Return the workflow id of a request to list claims.

    Identical requests have the same id and share one run.
    """
    return f"claims/{request.account or 'all'}/{request.size}/{request.after or 'first'}"


def account_workflow_id(account: str) -> str:
    """Return the id of the workflow that changes the registration of an AWS account.

    Changes to the same account run one after another.
    """
    return f"account/{account}"


def account_proof_workflow_id(nonce: str) -> str:
    """Return the id of the workflow that registers an AWS account after a successful account proof.

    Each nonce registers at most one account. The id contains only a hash of the nonce, so the nonce itself is not
    stored.
    """
    return f"account-proof/{hashlib.sha256(nonce.encode()).hexdigest()}"


def list_accounts_workflow_id(request: ListAccountsRequest) -> str:
    """Return the workflow id of a request to list registered accounts.

    Identical requests have the same id and share one run.
    """
    whose = "all" if request.organisation is None else f"organisation/{request.organisation}"
    return f"accounts/{whose}/{request.size}/{request.after or 'first'}"


def external_id_workflow_id(request: ExternalIdRequest) -> str:
    """Return the workflow id of a request for an external id.

    Identical requests have the same id and share one run.
    """
    return f"external-id/organisation/{request.organisation}" if request.organisation else "external-id/vendor"


def aurora_proof_workflow_id(region: str, key_arn: str) -> str:
    """Return the workflow id of `ProveAuroraKey`. The id contains the key, so a key has at most one proof at a time."""
    arn = parse_key_arn(key_arn)
    return f"aurora-proof/{region}/{arn.account}/{arn.key_id}"


def unfit_task_queue(task_queue: str) -> str:
    """Return the task queue that unfit workers poll.

    The queue never has tasks, and exists only so that Temporal lists the unfit workers, which poll this queue.
    """
    return f"{task_queue}-unfit"


def build_unfit_identity(identity: str, reason: str) -> str:
    """Return the identity under which an unfit worker polls: its usual identity and the reason why it is unfit."""
    return f"{identity}{_UNFIT}{reason}"[:_MAX_IDENTITY_LENGTH]


def parse_unfit_identity(identity: str) -> tuple[str, str]:
    """Return an unfit worker's usual identity, and the reason why it is unfit."""
    usual, _, reason = identity.partition(_UNFIT)
    return usual, reason
