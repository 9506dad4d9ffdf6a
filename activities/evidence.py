"""Collects the evidence that an environment uses the customer's keys.

A single activity reads all the evidence from AWS.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.database import DatabaseActivities
from activities.storage import StorageActivities
from byok.domain.models import DatabaseTask, EnvironmentPlan, Evidence


@dataclass(frozen=True)
class EvidenceActivities:
    """Reads the created resources back from AWS."""

    database: DatabaseActivities
    storage: StorageActivities

    @activity.defn
    async def collect_evidence(self, plan: EnvironmentPlan) -> Evidence:
        """Read back the cluster, writer, buckets and objects, and compare them with the request (contract 98, 119).

        Raises:
            ApplicationError: `byok.VerificationFailed`, if a field differs from the request. The error contains the
                field, the expected value and the actual value.
        """
        task = DatabaseTask(environment=plan.environment, cluster=plan.cluster)
        database = asyncio.create_task(asyncio.to_thread(self.database.read_and_verify_database, task))
        buckets = [
            asyncio.create_task(asyncio.to_thread(self.storage.read_and_verify_bucket, plan.environment, bucket))
            for bucket in plan.buckets
        ]
        # Wait for all reads, even if one fails, so that no read is still running when the next attempt begins.
        await asyncio.gather(database, *buckets, return_exceptions=True)
        return Evidence(
            encryption=plan.environment.encryption,
            database=database.result(),
            buckets=tuple(bucket.result() for bucket in buckets),
            collected_at=datetime.now(UTC),
        )
