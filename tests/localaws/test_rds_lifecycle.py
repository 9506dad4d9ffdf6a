"""The statuses of a cluster at different times, computed without a server."""

from datetime import timedelta

from localaws.rds.lifecycle import DatabaseStatus, Lifecycle


def test_operation_finishes_after_its_time() -> None:
    life = Lifecycle(DatabaseStatus.CREATING, until=10.0)
    assert (life.status(9.9), life.status(10.0)) == (DatabaseStatus.CREATING, DatabaseStatus.AVAILABLE)
    life.transition_to(DatabaseStatus.STOPPING, 20.0, 5.0)
    assert (life.status(24.9), life.status(25.0)) == (DatabaseStatus.STOPPING, DatabaseStatus.STOPPED)
    life.transition_to(DatabaseStatus.DELETING, 30.0, 5.0)
    assert (life.status(34.9), life.status(35.0)) == (DatabaseStatus.DELETING, None)


def test_lost_key_is_recoverable_for_seven_days() -> None:
    life = Lifecycle(DatabaseStatus.CREATING, until=0.0)
    life.mark_key_lost(100.0)
    week = timedelta(days=7).total_seconds()
    assert life.status(100.0 + week - 1) is DatabaseStatus.KEY_LOST
    assert life.status(100.0 + week) is DatabaseStatus.KEY_LOST_FOR_GOOD


def test_week_counts_from_the_first_loss_of_the_key() -> None:
    life = Lifecycle(DatabaseStatus.CREATING, until=0.0)
    life.mark_key_lost(100.0)
    life.mark_key_lost(5000.0)
    assert life.key_lost_at == 100.0


def test_recovered_cluster_starts_and_becomes_available() -> None:
    life = Lifecycle(DatabaseStatus.CREATING, until=0.0)
    life.mark_key_lost(1.0)
    life.start_recovery(2.0, 3.0)
    assert (life.status(4.9), life.status(5.0)) == (DatabaseStatus.STARTING, DatabaseStatus.AVAILABLE)


def test_stopped_or_deleting_cluster_does_not_lose_its_key() -> None:
    for order in (DatabaseStatus.STOPPING, DatabaseStatus.DELETING):
        life = Lifecycle(order, until=5.0)
        life.mark_key_lost(6.0 if order is DatabaseStatus.STOPPING else 4.0)
        assert life.key_lost_at is None


def test_cluster_without_key_can_be_deleted() -> None:
    life = Lifecycle(DatabaseStatus.CREATING, until=0.0)
    life.mark_key_lost(1.0)
    life.transition_to(DatabaseStatus.DELETING, 2.0, 1.0)
    assert (life.status(2.5), life.status(3.0)) == (DatabaseStatus.DELETING, None)
