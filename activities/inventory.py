"""Lists the resources that environments own in all Regions in use, as reported by AWS (contract 137)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporalio import activity

from activities import rds_resources
from activities.bucket_settings import list_own_buckets, read_bucket_tags, read_default_encryption
from activities.clients import AwsClients
from activities.failures import ActivityContext
from activities.ownership import has_tags
from byok.domain import naming
from byok.domain.arns import KeyPurpose, is_aws_managed, is_key_arn
from byok.domain.models import InventoryTask, OwnedResource, OwnedResources
from byok.domain.phases import Phase, RequestKind
from byok.domain.planning import Platform

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef


@dataclass(frozen=True)
class ListedDatabases:
    """All clusters and instances of the platform's account in all Regions in use, each with its Region."""

    clusters: "tuple[tuple[str, DBClusterTypeDef], ...]"
    instances: tuple[tuple[str, Mapping[str, Any]], ...]


@dataclass(frozen=True)
class Inventory:
    """Finds the resources that have an environment's tag. It changes nothing."""

    clients: AwsClients
    platform: Platform

    def list_databases(self) -> ListedDatabases:
        """List all databases.

        RDS cannot filter by tag, so callers use one list for all environments.

        Raises:
            ClientError: RDS refused a call.
        """
        return ListedDatabases(tuple(self._list_clusters()), tuple(self._list_instances()))

    def find_resources(
        self, environment_id: str, listed: ListedDatabases, organisation: str | None = None
    ) -> OwnedResources:
        """Return the databases and buckets that have an environment's tag.

        Args:
            environment_id: The environment.
            listed: All databases.
            organisation: The organisation whose tag the resources must also have; None to find the resources of any
                owner.

        Raises:
            ClientError: S3 refused a call.
        """
        tags = naming.owner_tags(self.platform.vendor, environment_id, organisation)
        return OwnedResources(
            instances=_select_owned(listed.instances, "DBInstanceIdentifier", tags),
            clusters=_select_owned(listed.clusters, "DBClusterIdentifier", tags),
            buckets=tuple(self._find_buckets(environment_id, tags)),
        )

    def _list_clusters(self) -> "Iterator[tuple[str, DBClusterTypeDef]]":
        for region in self.platform.regions:
            for page in self.clients.rds(region).get_paginator("describe_db_clusters").paginate():
                yield from ((region, one) for one in page["DBClusters"])

    def _list_instances(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for region in self.platform.regions:
            for page in self.clients.rds(region).get_paginator("describe_db_instances").paginate():
                yield from ((region, one) for one in page["DBInstances"])

    def _find_buckets(self, environment_id: str, tags: Mapping[str, str]) -> Iterator[OwnedResource]:
        """Yield the environment's buckets, including buckets that the current blueprint does not contain.

        One ListBuckets call covers all Regions of a partition, so the function also finds buckets in Regions that are
        no longer in use.
        """
        prefix = f"{self.platform.vendor.resource_prefix}-{environment_id}-"
        for name, region in list_own_buckets(self.clients.s3(self.platform.home_region), prefix).items():
            s3 = self.clients.s3(region)
            if has_tags(read_bucket_tags(s3, name), tags):
                _, key, _ = read_default_encryption(s3, name)
                named = key is not None and (is_key_arn(key) or is_aws_managed(key))
                yield OwnedResource(name=name, region=region, key_arn=key if named else None)


@dataclass(frozen=True)
class InventoryActivities:
    """The activity that lists the resources that an environment owns."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def find_resources(self, task: InventoryTask) -> OwnedResources:
        """List the resources with the environment's tag in all Regions in use, and find the final snapshot.

        Raises:
            ApplicationError: `rds.<status>`, if a final snapshot is requested and a cluster has lost access to its key;
                nothing has been removed yet. For other AWS errors, see the error table.
        """
        environment, inventory = task.environment, Inventory(self.clients, self.platform)
        step = ActivityContext(
            environment, self.platform.vendor, Phase.DELETING, KeyPurpose.RDS, request_kind=RequestKind.DELETION
        )
        with step.translate_aws_errors():
            listed = inventory.list_databases()
            owned = inventory.find_resources(environment.environment_id, listed, environment.organisation)
            for _, cluster in listed.clusters:
                if rds_resources.is_tagged_for(cluster, environment):
                    rds_resources.require_snapshot_possible(step, cluster, task.final_snapshot)
            if task.final_snapshot is None:
                return owned
            rds = self.clients.rds(environment.region)
            return owned.model_copy(
                update={"final_snapshot": rds_resources.find_cluster_snapshot(rds, task.final_snapshot)}
            )


def _select_owned(
    listed: Iterable[tuple[str, Mapping[str, Any]]], identifier: str, tags: Mapping[str, str]
) -> tuple[OwnedResource, ...]:
    return tuple(
        OwnedResource(name=one[identifier], region=region, key_arn=one.get("KmsKeyId"))
        for region, one in listed
        if has_tags(one.get("TagList", []), tags)
    )
