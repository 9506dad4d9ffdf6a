"""RDS operations that support clusters: snapshots, tags, subnet groups, and the filters of Describe… calls."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from localaws.call import AwsError, Call, Operation, models, not_modelled_error
from localaws.rds.input import check_tags, invalid_value_error, parse_identifier, parse_snapshot_identifier
from localaws.rds.lifecycle import DatabaseStatus
from localaws.rds.pages import paginate
from localaws.rds.permissions import authorize_with_tags, build_resource_arn
from localaws.rds.records import build_snapshot, render_snapshot
from localaws.rds.state import (
    build_database_id,
    get_cluster_status,
    get_identifier,
    require_cluster,
    require_snapshot,
    start_transition,
)
from localaws.state import STATE, Database

_DEFAULT_SUBNET_GROUP: Final = "default"


def filter_databases(call: Call, found: Iterable[Database], names: Mapping[str, tuple[str, ...]]) -> list[Database]:
    """Return the databases in `found` that are in the caller's account and Region and match every filter of the call.

    Args:
        call: The Describe… call.
        found: The candidates.
        names: The members of the output that each filter applies to, by filter name.

    Raises:
        AwsError: `InvalidParameterValue` for an unknown filter.
    """
    here = [one for one in found if (one.account, one.region) == (call.caller.account, call.region)]
    for condition in call.params.get("Filters", []):
        if condition["Name"] not in names:
            raise invalid_value_error(f"Unrecognized filter name: {condition['Name']}")
        members, values = names[condition["Name"]], {value.lower() for value in condition["Values"]}
        here = [one for one in here if values & {str(one.output.get(member)).lower() for member in members}]
    return here


def refuse_kept_backups(call: Call) -> None:
    """Reject a deletion that would retain automated backups, because retained backups are not modelled.

    Raises:
        AwsError: `NotImplemented`.
    """
    if call.params.get("DeleteAutomatedBackups") is False:
        raise not_modelled_error(f"DeleteAutomatedBackups false of rds:{call.operation}")


def require_snapshot_name_free(call: Call, name: str) -> None:
    """Check that no snapshot has this name.

    Raises:
        AwsError: `DBClusterSnapshotAlreadyExistsFault`.
    """
    if build_database_id(call, name) in STATE.snapshots:
        message = f"Cannot create the cluster snapshot because one with the identifier {name} already exists."
        raise AwsError("DBClusterSnapshotAlreadyExistsFault", message)


@models("DBClusterSnapshotIdentifier", "DBClusterIdentifier", "Tags")
def create_snapshot(call: Call) -> dict[str, Any]:
    """CreateDBClusterSnapshot."""
    name = parse_snapshot_identifier(call.params, "DBClusterSnapshotIdentifier")
    authorize_with_tags(call, "cluster-snapshot", name)
    cluster = require_cluster(call, call.params["DBClusterIdentifier"])
    require_snapshot_name_free(call, name)
    check_tags(call.params.get("Tags", []))
    if get_cluster_status(cluster) is not DatabaseStatus.AVAILABLE:  # reported in Terraform provider pull request 40333
        what = f"the database cluster {get_identifier(cluster)} isn't currently in the available state."
        raise AwsError("InvalidDBClusterStateFault", f"Can't create a snapshot because {what}")
    snapshot = STATE.snapshots[build_database_id(call, name)] = build_snapshot(cluster, name, call.params.get("Tags"))
    return {"DBClusterSnapshot": render_snapshot(snapshot)}


@models("DBClusterSnapshotIdentifier", "DBClusterIdentifier", "SnapshotType", "Filters", "MaxRecords", "Marker")
def describe_snapshots(call: Call) -> dict[str, Any]:
    """DescribeDBClusterSnapshots: return the matching snapshots. Only manual snapshots are modelled."""
    name = call.params.get("DBClusterSnapshotIdentifier")
    authorize_with_tags(call, "cluster-snapshot", name or "*")
    found = [require_snapshot(call, name)] if name else list(STATE.snapshots.values())
    for member in ("DBClusterIdentifier", "SnapshotType"):
        wanted = call.params.get(member)
        found = [one for one in found if wanted is None or one.output[member] == wanted]
    names: dict[str, tuple[str, ...]] = {
        "db-cluster-id": ("DBClusterIdentifier",),
        "engine": ("Engine",),
        "snapshot-type": ("SnapshotType",),
    }
    names |= {"db-cluster-snapshot-id": ("DBClusterSnapshotIdentifier", "DBClusterSnapshotArn")}
    found = filter_databases(call, found, names)
    return paginate(call, "DBClusterSnapshots", [render_snapshot(one) for one in found])


@models("DBClusterSnapshotIdentifier")
def delete_snapshot(call: Call) -> dict[str, Any]:
    """DeleteDBClusterSnapshot: delete a snapshot immediately."""
    snapshot = require_snapshot(call, call.params["DBClusterSnapshotIdentifier"])
    authorize_with_tags(call, "cluster-snapshot", call.params["DBClusterSnapshotIdentifier"])
    described = render_snapshot(snapshot)
    start_transition(snapshot, DatabaseStatus.DELETING)
    del STATE.snapshots[build_database_id(call, snapshot.output["DBClusterSnapshotIdentifier"])]
    return {"DBClusterSnapshot": described}


@models("ResourceName", "Tags")
def add_tags(call: Call) -> dict[str, Any]:
    """AddTagsToResource."""
    output = _tagged_output(call)
    check_tags(call.params["Tags"])
    added = {tag["Key"]: tag.get("Value", "") for tag in call.params["Tags"]}
    tags = {tag["Key"]: tag["Value"] for tag in output["TagList"]} | added
    output["TagList"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {}


@models("ResourceName", "TagKeys")
def remove_tags(call: Call) -> dict[str, Any]:
    """RemoveTagsFromResource."""
    output = _tagged_output(call)
    output["TagList"] = [tag for tag in output["TagList"] if tag["Key"] not in set(call.params["TagKeys"])]
    return {}


@models("ResourceName")
def list_tags(call: Call) -> dict[str, Any]:
    """ListTagsForResource."""
    return {"TagList": _tagged_output(call)["TagList"]}


def require_subnet_group(call: Call, name: str | None) -> None:
    """Check that a subnet group exists. An omitted name and the name `default` both mean the group of the default VPC.

    Raises:
        AwsError: `DBSubnetGroupNotFoundFault`, with the text recorded from AWS.
    """
    if name and name != _DEFAULT_SUBNET_GROUP and build_database_id(call, name) not in STATE.subnet_groups:
        raise AwsError("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)


@models("DBSubnetGroupName", "DBSubnetGroupDescription", "SubnetIds", "Tags")
def create_subnet_group(call: Call) -> dict[str, Any]:
    """CreateDBSubnetGroup: create a subnet group.

    EC2 is not modelled, so CreateDBSubnetGroup accepts any subnet id, and assigns the subnets to the zones a, b and c
    in turn.
    """
    name = parse_identifier(call.params, "DBSubnetGroupName", longest=255)
    authorize_with_tags(call, "subgrp", name)
    if build_database_id(call, name) in STATE.subnet_groups or name == _DEFAULT_SUBNET_GROUP:
        raise AwsError("DBSubnetGroupAlreadyExists", f"The DB subnet group '{name}' already exists.")
    subnets = [
        {
            "SubnetIdentifier": subnet,
            "SubnetAvailabilityZone": {"Name": f"{call.region}{'abc'[index % 3]}"},
            "SubnetStatus": "Active",
        }
        for index, subnet in enumerate(call.params["SubnetIds"])
    ]
    if len(subnets) < 2:  # noqa: PLR2004 - botocore's rds model, CreateDBSubnetGroup
        message = (
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement: at least two are needed."
        )
        raise AwsError("DBSubnetGroupDoesNotCoverEnoughAZs", message)
    check_tags(call.params.get("Tags", []))
    group = {
        "DBSubnetGroupName": name,
        "DBSubnetGroupDescription": call.params["DBSubnetGroupDescription"],
        "SubnetGroupStatus": "Complete",
        "Subnets": subnets,
        "DBSubnetGroupArn": build_resource_arn(call, "subgrp", name),
        "TagList": [dict(tag) for tag in call.params.get("Tags", [])],
    }
    STATE.subnet_groups[build_database_id(call, name)] = group
    return {"DBSubnetGroup": group}


@models("DBSubnetGroupName", "MaxRecords", "Marker")
def describe_subnet_groups(call: Call) -> dict[str, Any]:
    """DescribeDBSubnetGroups."""
    name = call.params.get("DBSubnetGroupName")
    authorize_with_tags(call, "subgrp", name or "*")
    if name:
        return {"DBSubnetGroups": [_subnet_group(call, name)]}
    here = (call.caller.account, call.region)
    groups = [group for place, group in STATE.subnet_groups.items() if place[:2] == here]
    return paginate(call, "DBSubnetGroups", groups)


@models("DBSubnetGroupName")
def delete_subnet_group(call: Call) -> dict[str, Any]:
    """DeleteDBSubnetGroup: delete a subnet group, or reject the call if a cluster uses the subnet group."""
    name = call.params["DBSubnetGroupName"]
    authorize_with_tags(call, "subgrp", name)
    group = _subnet_group(call, name)
    here = filter_databases(call, STATE.clusters.values(), {})
    if any(cluster.output["DBSubnetGroup"] == group["DBSubnetGroupName"] for cluster in here):
        message = f"Cannot delete the subnet group '{name}' because at least one database is still using it."
        raise AwsError("InvalidDBSubnetGroupStateFault", message)
    del STATE.subnet_groups[build_database_id(call, name)]
    return {}


def _subnet_group(call: Call, name: str) -> dict[str, Any]:
    group = STATE.subnet_groups.get(build_database_id(call, name))
    if group is None:
        raise AwsError("DBSubnetGroupNotFoundFault", f"DB subnet group '{name}' does not exist.", 404)
    return group


def _tagged_output(call: Call) -> dict[str, Any]:
    """Return the Describe… output of the resource whose tags the call reads or changes."""
    arn = call.params["ResourceName"]
    authorize_with_tags(call, "", arn)
    outputs = [
        *(one.output for table in (STATE.clusters, STATE.instances, STATE.snapshots) for one in table.values()),
        *STATE.subnet_groups.values(),
    ]
    members = {
        "cluster": ("DBClusterArn", "DBClusterNotFoundFault"),
        "db": ("DBInstanceArn", "DBInstanceNotFound"),
        "cluster-snapshot": ("DBClusterSnapshotArn", "DBClusterSnapshotNotFoundFault"),
        "subgrp": ("DBSubnetGroupArn", "DBSubnetGroupNotFoundFault"),
    }
    parts = arn.split(":")
    if len(parts) != 7 or parts[5] not in members or parts[4] != call.caller.account:  # noqa: PLR2004 - an RDS ARN
        raise invalid_value_error(f"Invalid resource name: {arn}")
    member, fault = members[parts[5]]
    output = next((output for output in outputs if output.get(member) == arn), None)
    if output is None:
        raise AwsError(fault, f"{parts[6]} not found.", 404)
    return output


HANDLERS: Final[dict[str, Operation]] = {
    "CreateDBClusterSnapshot": create_snapshot,
    "DescribeDBClusterSnapshots": describe_snapshots,
    "DeleteDBClusterSnapshot": delete_snapshot,
    "AddTagsToResource": add_tags,
    "RemoveTagsFromResource": remove_tags,
    "ListTagsForResource": list_tags,
    "CreateDBSubnetGroup": create_subnet_group,
    "DescribeDBSubnetGroups": describe_subnet_groups,
    "DeleteDBSubnetGroup": delete_subnet_group,
}
