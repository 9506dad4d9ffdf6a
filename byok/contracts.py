"""The names that the API, the CLI and the workers share, such as workflow types, search attributes and signals."""

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
"""The name of the update with which a caller waits for the verdict of `ProveAuroraKey`."""

KEY_VERDICTS_QUERY: Final = "verdicts"
"""The name of the query that returns the verdicts of `CheckKeys` so far.

The verdicts are not in the memo. They are read only while the check is running, and a running check needs a worker
anyway, so a query is sufficient.
"""

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
"""The search attribute with the last reported health of a READY environment.

The search attribute does not show when the keys were last verified.
"""

CREATED_AT_ATTRIBUTE: Final = SearchAttributeKey.for_datetime("EnvironmentCreatedAt")
"""The search attribute with the time of the first request for an environment, to the millisecond.

Replays, resets and continue-as-new do not change this time, so the list of environments is sorted by this time
(decision 0049).
"""

CHECKED_KEYS_ATTRIBUTE: Final = SearchAttributeKey.for_keyword_list("CheckedKeys")
"""The search attribute of a key check: a digest of each key (`byok.temporal_quotas.digest_key_arn`)."""

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
"""The memo field that contains the SHA-256 of the `Idempotency-Key` header of the request that started the run.

The field is missing if the request had no such header.
"""

ACCOUNT_OF_ANOTHER_ORGANISATION_CODE: Final = "byok.AccountOfAnotherOrganisation"
"""The problem code for an AWS account that is already registered for another organisation."""

ID_IN_USE_CODE: Final = "byok.EnvironmentExists"
"""The problem code of a run that changed nothing, because the id already belongs to another environment."""

REFUSAL_CODES: Final = frozenset({ID_IN_USE_CODE, QUOTA_EXCEEDED_CODE})
"""The problem codes of runs that changed nothing.

The status of the environment therefore comes from the environment's record, not from such a run.
"""

EARLIER_ATTEMPTS_MEMO: Final = "earlier-attempts"
"""The memo field that contains `byok.domain.models.EarlierAttempts`.

A workflow has this field only if an earlier workflow had the same id.
"""

STOP_SIGNAL: Final = "record_stop"
"""The signal with which an environment's workflow reports a stop, as `byok.domain.models.StoppedAttempt`."""

RECORD_MEMO: Final = "record"
"""The memo field of `EnvironmentRecord` that contains `byok.domain.models.RecordSummary`."""

DELIVERY_MEMO: Final = "delivery"
"""The memo field of `DeliverNotification` that contains `byok.domain.models.DeliverySummary`."""

RUN_REPORT_SIGNAL: Final = "report_run"
"""The signal with which an environment's workflow sends `byok.domain.models.RunReport` to `EnvironmentRecord`."""

TENANT_REPORT_SIGNAL: Final = "report_tenant"
"""The signal with which the tenant workflow sends `byok.domain.models.TenantReport` to `EnvironmentRecord`."""

HEALTH_REPORT_SIGNAL: Final = "report_health"
"""The signal with which a check sends `byok.domain.models.HealthReport` to `EnvironmentRecord`."""

KEY_DELETION_SIGNAL: Final = "report_key_deletion"
"""The signal with which the API sends `byok.domain.models.KeyDeletionReport` to `EnvironmentRecord`.

The API sends this signal after an AWS event about the deletion of a key.
"""

SWEEP_MEMO: Final = "sweep"
"""The memo field of a completed `CheckKeyHealth` that contains `byok.domain.models.SweepOutcome`."""

_UNFIT: Final = " unfit: "
_MAX_IDENTITY_LENGTH: Final = 500
"""The length to which the identity of an unfit worker is truncated. Temporal rejects identities of more than 1,000
characters (`limit.maxIDLength`)."""

CHECK_AGAIN_SIGNAL: Final = "check_again"
"""The signal that makes a running `VerifyEnvironment` check the environment once more.

AWS may have reported a change that happened after the running check read the affected resource.
"""

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
    """Return the phase of an environment whose workflow no worker has picked up yet."""
    return Phase.DELETING if workflow_type == DELETE_ENVIRONMENT_WORKFLOW else Phase.VALIDATING_KEYS


def environment_workflow_id(environment_id: str) -> str:
    """Return the workflow id of an environment.

    If another request tries to start the environment's workflow, Temporal finds the existing run by this id.
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
    """Return the workflow id of an environment's record."""
    return f"{_RECORD_PREFIX}{environment_id}"


def verification_workflow_id(environment_id: str) -> str:
    """Return the workflow id of `VerifyEnvironment`. Simultaneous requests share one run."""
    return f"{_VERIFICATION_PREFIX}{environment_id}"


def health_schedule_id(region: str) -> str:
    """Return the id of the schedule that starts the sweeps in a Region."""
    return f"key-health/{region}"


def delivery_workflow_id(endpoint: str, notification_id: str) -> str:
    """Return the id of the workflow that delivers a notification to an endpoint.

    The id ensures that byok delivers a notification to an endpoint only once, even if the same change is reported
    several times.
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
    """Return the workflow id of `ProveAuroraKey`. Return the workflow id of `ProveAuroraKey`.

    The id contains the key, so only one proof can run for a key at a time.
    """
    arn = parse_key_arn(key_arn)
    return f"aurora-proof/{region}/{arn.account}/{arn.key_id}"


def unfit_task_queue(task_queue: str) -> str:
    """Return the task queue of the workers that failed their last check of credentials and clock (unfit workers).

    No tasks are ever sent to this queue. Unfit workers poll this queue only so that Temporal lists them.
    """
    return f"{task_queue}-unfit"


def build_unfit_identity(identity: str, reason: str) -> str:
    """Return the identity of an unfit worker: its usual identity, followed by the reason why it is unfit."""
    return f"{identity}{_UNFIT}{reason}"[:_MAX_IDENTITY_LENGTH]


def parse_unfit_identity(identity: str) -> tuple[str, str]:
    """Split the identity of an unfit worker into the usual identity and the reason why the worker is unfit."""
    usual, _, reason = identity.partition(_UNFIT)
    return usual, reason
