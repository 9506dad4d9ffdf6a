"""Test which RDS statuses are pending, which indicate an inaccessible key, and which cause an immediate error."""

import pytest

from byok.domain import rds_statuses
from byok.domain.phases import OnFailure, Phase

# Statuses that never change to `available` on their own (Aurora user guide, "DB cluster status" and "DB instance
# status").
TERMINAL = [
    "cloning-failed",
    "deleting",
    "failed",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
    "migration-failed",
    "restore-error",
    "restore-failed",
    "stopped",
    "stopping",
    "storage-full",
    "a-status-of-next-year",
    "",
]


@pytest.mark.parametrize("status", TERMINAL)
def test_terminal_status_is_not_pending(status: str) -> None:
    assert status not in rds_statuses.CLUSTER_PENDING
    assert status not in rds_statuses.INSTANCE_PENDING


# Transient statuses, from the same pages of the Aurora user guide and from Terraform's list for new clusters.
@pytest.mark.parametrize(
    "status",
    [
        "backing-up",
        "creating",
        "failing-over",
        "maintenance",
        "migrating",
        "modifying",
        "preparing-data-migration",
        "promoting",
        "rebooting",
        "renaming",
        "resetting-master-credentials",
        "starting",
        "storage-optimization",
        "update-iam-db-auth",
        "upgrading",
    ],
)
def test_transient_status_is_pending(status: str) -> None:
    assert status in rds_statuses.CLUSTER_PENDING
    assert status in rds_statuses.INSTANCE_PENDING


def test_available_is_not_pending() -> None:
    assert (
        rds_statuses.AVAILABLE
        not in rds_statuses.CLUSTER_PENDING | rds_statuses.INSTANCE_PENDING | rds_statuses.KEY_LOST
    )


def test_both_statuses_of_a_lost_key_are_known() -> None:
    assert {status for status in TERMINAL if status.startswith("inaccessible-")} == rds_statuses.KEY_LOST


def test_phase_values_are_their_names() -> None:
    assert [phase.value for phase in Phase] == [phase.name for phase in Phase]


def test_ready_deleted_and_stopped_are_final() -> None:
    assert [phase for phase in Phase if phase.is_final] == [Phase.READY, Phase.DELETED, Phase.STOPPED]


def test_on_failure_is_keep_or_rollback() -> None:
    assert [choice.value for choice in OnFailure] == ["keep", "rollback"]  # contract D9
