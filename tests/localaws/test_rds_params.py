"""RDS call parameters: pagination, values that the local AWS emulator does not model, and a new password."""

import pytest

from tests.localaws.server import AwsHarness
from tests.localaws.test_rds_clusters import NAME, build_cluster_params, catch_error


def test_lists_are_paged(aws: AwsHarness) -> None:
    rds = aws.operator_client("rds")
    names = [f"group-{number:02}" for number in range(21)]
    for name in names:
        rds.create_db_subnet_group(DBSubnetGroupName=name, DBSubnetGroupDescription="d", SubnetIds=["a", "b"])

    pages = list(rds.get_paginator("describe_db_subnet_groups").paginate(PaginationConfig={"PageSize": 20}))

    assert [len(page["DBSubnetGroups"]) for page in pages] == [20, 1]
    assert [group["DBSubnetGroupName"] for page in pages for group in page["DBSubnetGroups"]] == names
    for page in ({"MaxRecords": 19}, {"MaxRecords": 101}, {"Marker": "made-up"}):
        assert catch_error(rds.describe_db_clusters, **page)[0] == "InvalidParameterValue"


@pytest.mark.parametrize(
    ("operation", "params", "what"),
    [
        (
            "delete_db_cluster",
            {"SkipFinalSnapshot": True, "DeleteAutomatedBackups": False},
            "DeleteAutomatedBackups false",
        ),
        ("modify_db_cluster", {"EnableIAMDatabaseAuthentication": False}, "without ApplyImmediately"),
    ],
)
def test_values_beyond_the_model_are_refused_by_name(
    aws: AwsHarness, operation: str, params: dict[str, bool], what: str
) -> None:
    rds = aws.operator_client("rds")
    aws.platform_client("rds").create_db_cluster(**build_cluster_params(aws.create_rds_key()))

    code, message = catch_error(getattr(rds, operation), DBClusterIdentifier=NAME, **params)

    assert (code, what in message) == ("NotImplemented", True)


def test_new_password_is_checked_like_the_first(aws: AwsHarness) -> None:
    rds = aws.operator_client("rds")
    aws.platform_client("rds").create_db_cluster(**build_cluster_params(aws.create_rds_key()))

    code, message = catch_error(rds.modify_db_cluster, DBClusterIdentifier=NAME, MasterUserPassword="short")

    assert (code, "not a valid password" in message) == ("InvalidParameterValue", True)
