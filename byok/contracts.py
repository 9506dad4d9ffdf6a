"""Names shared by the code that starts workflows, the code that watches them, and the code that runs them."""

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
"""The memo field that contains `byok.domain.models.EnvironmentProgress`."""

TENANT_MEMO: Final = "tenant"
"""The memo field of `ReconcileTenant` that contains `byok.domain.models.TenantProgress`."""

IDEMPOTENCY_KEY_MEMO: Final = "request-key"
"""The memo field with the `Idempotency-Key` of the request that started the run, if the client sent one."""

INVALID_INPUT_ERROR_TYPE: Final = "InvalidInput"
"""The failure type of a workflow that received invalid input."""

_ENVIRONMENT_PREFIX: Final = "environment/"


def first_phase(workflow_type: str) -> Phase:
    """Return the phase to report for an environment before any worker has picked up its workflow."""
    return Phase.DELETING if workflow_type == DELETE_ENVIRONMENT_WORKFLOW else Phase.VALIDATING_KEYS


def environment_workflow_id(environment_id: str) -> str:
    """Return the workflow id of an environment. A second start finds the existing run, which has the same id."""
    return f"{_ENVIRONMENT_PREFIX}{environment_id}"


def environment_id_from_workflow_id(workflow_id: str) -> str:
    """Return the environment id that a workflow id contains."""
    return workflow_id.removeprefix(_ENVIRONMENT_PREFIX)


def tenant_workflow_id(environment_id: str) -> str:
    """Return the workflow id of `ReconcileTenant`: at most one run at a time for an environment."""
    return f"tenant/{environment_id}"


def key_check_workflow_id(request: CheckKeysRequest) -> str:
    """Return the workflow id of a key check: at most one run at a time for a pair of keys in a Region."""
    digest = hashlib.sha256(f"{request.region} {request.s3_key_arn} {request.rds_key_arn}".encode()).hexdigest()
    return f"keys/{digest[:16]}"
