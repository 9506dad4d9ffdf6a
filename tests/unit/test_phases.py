"""Which statuses of RDS lead on, which say that the key is lost, and which are an error at once."""

import pytest

from byok.domain import rds_statuses
from byok.domain.phases import OnFailure, Phase

# Aurora user guide, "DB cluster status" and "DB instance status": what never becomes available by itself.
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
def test_a_status_that_does_not_lead_on_is_not_waited_for(status: str) -> None:
    assert status not in rds_statuses.CLUSTER_PENDING
    assert status not in rds_statuses.INSTANCE_PENDING


# The same pages and Terraform's list for a cluster that is being created: what passes by itself.
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
def test_a_status_that_passes_is_waited_for(status: str) -> None:
    assert status in rds_statuses.CLUSTER_PENDING
    assert status in rds_statuses.INSTANCE_PENDING


def test_available_is_the_end_of_waiting() -> None:
    assert (
        rds_statuses.AVAILABLE
        not in rds_statuses.CLUSTER_PENDING | rds_statuses.INSTANCE_PENDING | rds_statuses.KEY_LOST
    )


def test_both_statuses_of_a_lost_key_are_known() -> None:
    assert {status for status in TERMINAL if status.startswith("inaccessible-")} == rds_statuses.KEY_LOST


def test_users_see_a_phase_by_its_name() -> None:
    assert [phase.value for phase in Phase] == [phase.name for phase in Phase]


def test_ready_deleted_and_stopped_are_the_ends() -> None:
    assert [phase for phase in Phase if phase.is_final] == [Phase.READY, Phase.DELETED, Phase.STOPPED]


def test_a_stop_keeps_or_removes() -> None:
    assert [choice.value for choice in OnFailure] == ["keep", "rollback"]  # contract D9
