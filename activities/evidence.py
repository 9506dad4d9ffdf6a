"""The proof that an environment is on the customer's keys: all of it read back from AWS in one step."""

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

    @activity.defn(no_thread_cancel_exception=True)
    def collect_evidence(self, plan: EnvironmentPlan) -> Evidence:
        """Read cluster, writer, buckets and objects back and compare them with what was asked for (contract 98, 119).

        Raises:
            ApplicationError: `byok.VerificationFailed`, a stop that names the field, what was asked and what is.
        """
        task = DatabaseTask(environment=plan.environment, cluster=plan.cluster)
        database, storage = self.database.collect_database_evidence(task), self.storage.collect_storage_evidence(plan)
        return Evidence(database=database, buckets=storage.buckets, collected_at=datetime.now(UTC))
