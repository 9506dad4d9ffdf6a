"""All workflows of byok, as a worker or a replayer registers them."""

from workflows.accounts import ListAccounts, RegisterAccount, UnregisterAccount
from workflows.check_key_health import CheckKeyHealth
from workflows.check_keys import CheckKeys
from workflows.delete_environment import DeleteEnvironment
from workflows.deliver_notification import select_delivery_workflow
from workflows.environment_record import select_record_workflow
from workflows.get_external_id import GetExternalId
from workflows.list_key_claims import ListKeyClaims
from workflows.prove_aurora_key import ProveAuroraKey
from workflows.provision_environment import ProvisionEnvironment
from workflows.rebuild_records import RebuildRecords
from workflows.reconcile_tenant import ReconcileTenant
from workflows.verify_environment import VerifyEnvironment


def list_workflows(*, versioned: bool) -> list[type]:
    """Return the workflow classes.

    Args:
        versioned: Whether the workflows run on a versioned worker (`select_record_workflow`,
            `select_delivery_workflow`).
    """
    return [
        ProvisionEnvironment,
        DeleteEnvironment,
        CheckKeys,
        ProveAuroraKey,
        ReconcileTenant,
        ListKeyClaims,
        RegisterAccount,
        UnregisterAccount,
        ListAccounts,
        GetExternalId,
        RebuildRecords,
        CheckKeyHealth,
        VerifyEnvironment,
        select_record_workflow(versioned=versioned),
        select_delivery_workflow(versioned=versioned),
    ]
