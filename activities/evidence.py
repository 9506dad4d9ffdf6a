"""The proof that an environment is on the customer's keys: all of it read back from AWS in one step."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.database import DatabaseActivities
from activities.storage import StorageActivities
from byok.domain.models import DatabaseTask, EnvironmentPlan, Evidence


@dataclass(frozen=True)
class EvidenceActivities:
    """Reads back what the others have made."""

    database: DatabaseActivities
    storage: StorageActivities

    @activity.defn
    async def collect_evidence(self, plan: EnvironmentPlan) -> Evidence:
        """Read cluster, writer, buckets and objects back and compare them with what was asked for (contract 98, 119).

        Raises:
            ApplicationError: `byok.VerificationFailed`, a stop that names the field, what was asked and what is.
        """
        task = DatabaseTask(environment=plan.environment, cluster=plan.cluster)
        database = asyncio.create_task(asyncio.to_thread(self.database.read_and_verify_database, task))
        buckets = [
            asyncio.create_task(asyncio.to_thread(self.storage.read_and_verify_bucket, plan.environment, bucket))
            for bucket in plan.buckets
        ]
        # All are waited for: where one fails, the others do not go on behind the next attempt.
        await asyncio.gather(database, *buckets, return_exceptions=True)
        return Evidence(
            database=database.result(),
            buckets=tuple(bucket.result() for bucket in buckets),
            collected_at=datetime.now(UTC),
        )
