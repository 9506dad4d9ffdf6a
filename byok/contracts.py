"""Names that cross Temporal: whoever starts, watches or runs a workflow agrees on these and on nothing else."""

import hashlib
from typing import Final

from temporalio.common import SearchAttributeKey

from byok.domain.models import CheckKeysRequest
from byok.domain.phases import Phase

TASK_QUEUE: Final = "byok"

PROVISION_ENVIRONMENT_WORKFLOW: Final = "ProvisionEnvironment"
DELETE_ENVIRONMENT_WORKFLOW: Final = "DeleteEnvironment"
CHECK_KEYS_WORKFLOW: Final = "CheckKeys"
RECONCILE_TENANT_WORKFLOW: Final = "ReconcileTenant"

ENVIRONMENT_ID_ATTRIBUTE: Final = SearchAttributeKey.for_keyword("EnvironmentId")
PHASE_ATTRIBUTE: Final = SearchAttributeKey.for_keyword("EnvironmentPhase")
PROBLEM_CODE_ATTRIBUTE: Final = SearchAttributeKey.for_keyword("ProblemCode")
SEARCH_ATTRIBUTES: Final = (ENVIRONMENT_ID_ATTRIBUTE, PHASE_ATTRIBUTE, PROBLEM_CODE_ATTRIBUTE)

PROGRESS_MEMO: Final = "progress"
"""The memo field that carries `byok.domain.models.EnvironmentProgress`."""

TENANT_MEMO: Final = "tenant"
"""The memo field of `ReconcileTenant` that carries `byok.domain.models.TenantProgress`."""

IDEMPOTENCY_KEY_MEMO: Final = "request-key"
"""The memo field that names the request that started a run, where its sender gave it a name (`Idempotency-Key`)."""

INVALID_INPUT_ERROR_TYPE: Final = "InvalidInput"
"""Type of the failure that a malformed input ends in."""

_ENVIRONMENT_PREFIX: Final = "environment/"


def first_phase(workflow_type: str) -> Phase:
    """The phase of an environment whose workflow no worker has taken yet."""
    return Phase.DELETING if workflow_type == DELETE_ENVIRONMENT_WORKFLOW else Phase.VALIDATING_KEYS


def environment_workflow_id(environment_id: str) -> str:
    """The workflow id of an environment: one environment, one id, so that a second start finds the first."""
    return f"{_ENVIRONMENT_PREFIX}{environment_id}"


def environment_id_from_workflow_id(workflow_id: str) -> str:
    """The environment that a workflow id stands for."""
    return workflow_id.removeprefix(_ENVIRONMENT_PREFIX)


def tenant_workflow_id(environment_id: str) -> str:
    """The workflow id of a tenant's name on an environment's keys: one at a time."""
    return f"tenant/{environment_id}"


def key_check_workflow_id(request: CheckKeysRequest) -> str:
    """The workflow id of a check: the same two keys in the same Region are checked once at a time."""
    digest = hashlib.sha256(f"{request.region} {request.s3_key_arn} {request.rds_key_arn}".encode()).hexdigest()
    return f"keys/{digest[:16]}"
