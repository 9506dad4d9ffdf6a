"""The models for rebuilding the records of environments from what AWS reports (contract 136)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Self

from byok.domain.models.base import RecordModel, RequestModel
from byok.domain.models.requests import ProvisionRequest
from byok.domain.models.resources import ClusterResource
from byok.domain.phases import Phase

MAX_LISTED_PROBLEMS: Final = 200
"""The maximum number of environments that the result of a rebuild lists individually."""


class UnrecordedEnvironment(RecordModel):
    """An environment that has resources or claims in AWS, but no record.

    Attributes:
        region: The Region of the environment's cluster; None if there is not exactly one cluster.
        request: The request, reconstructed from what AWS reports; None if byok cannot create a record.
        cluster: The environment's cluster.
        created_at: When the cluster was created.
        problem: Why byok cannot create a record, or what the environment lacks; None if the environment is complete.
    """

    environment_id: str
    region: str | None = None
    request: ProvisionRequest | None = None
    cluster: ClusterResource | None = None
    created_at: datetime | None = None
    problem: str | None = None


class UnrecordedPage(RecordModel):
    """A page of environments that have resources or claims in AWS but no record.

    Attributes:
        skipped: The number of environments on this page that have a record or are being changed.
        after: The environment id after which the next page begins; None on the last page.
    """

    environments: tuple[UnrecordedEnvironment, ...] = ()
    skipped: int = 0
    after: str | None = None


class RebuiltRecord(RecordModel):
    """The result of rebuilding the record of one environment.

    Attributes:
        phase: The phase in the new record; None if there is no new record.
        problem: Why the environment is stopped, or why there is no new record.
    """

    environment_id: str
    region: str | None = None
    phase: Phase | None = None
    problem: str | None = None


class RebuildResult(RecordModel):
    """The result of `RebuildRecords`.

    Attributes:
        ready: The number of new records for environments that are READY.
        stopped: The number of new records for environments that are STOPPED.
        missing: The number of environments for which byok could not create a record.
        skipped: The number of environments that already had a record or are being changed.
        problems: The environments that are not READY, at most `MAX_LISTED_PROBLEMS` of them.
    """

    ready: int = 0
    stopped: int = 0
    missing: int = 0
    skipped: int = 0
    problems: tuple[RebuiltRecord, ...] = ()

    def add(self, rebuilt: Iterable[RebuiltRecord], skipped: int) -> Self:
        """Return a copy of this result that also includes the result of another page."""
        found = list(rebuilt)
        phases = [one.phase for one in found]
        problems = (*self.problems, *(one for one in found if one.phase is not Phase.READY))
        return self.model_copy(
            update={
                "ready": self.ready + phases.count(Phase.READY),
                "stopped": self.stopped + phases.count(Phase.STOPPED),
                "missing": self.missing + phases.count(None),
                "skipped": self.skipped + skipped,
                "problems": problems[:MAX_LISTED_PROBLEMS],
            }
        )


class RebuildRequest(RequestModel):
    """The input of `RebuildRecords`.

    Attributes:
        after: The environment id after which the search begins; None to search all environments.
        so_far: The result of the earlier runs of this workflow.
    """

    after: str | None = None
    so_far: RebuildResult = RebuildResult()
