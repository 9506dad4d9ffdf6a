"""Check which features are missing in botocore's models of AWS's APIs (docs/behaviour.md)."""

from botocore import session
from botocore.model import ServiceModel

from byok.domain.rds_statuses import KEY_LOST

SESSION = session.get_session()
RDS: ServiceModel = SESSION.get_service_model("rds")


def list_params(operation: str) -> set[str]:
    shape = RDS.operation_model(operation).input_shape
    return set(shape.members) if shape is not None else set()


def test_no_rds_operation_has_a_dry_run() -> None:
    assert [name for name in RDS.operation_names if "DryRun" in list_params(name)] == []  # D2


def test_key_of_a_cluster_can_be_set_only_at_its_creation() -> None:
    assert "KmsKeyId" in list_params("CreateDBCluster")
    assert "KmsKeyId" not in list_params("ModifyDBCluster")  # contract 8


def test_waiter_for_a_cluster_does_not_stop_when_the_key_is_lost() -> None:
    waiter = SESSION.get_waiter_model("rds").get_waiter("DBClusterAvailable")

    assert not KEY_LOST & {acceptor.expected for acceptor in waiter.acceptors}
    assert waiter.delay * waiter.max_attempts == 1800  # seconds until the waiter gives up
