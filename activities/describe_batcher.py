"""Looks at the databases that environments wait for: however many they are, with a few calls a second.

RDS allows an account so many calls in each Region, and everybody there shares them: the vendor's own tools, too. A
worker therefore asks for up to a hundred clusters or instances in one call, and calls seldom enough. A few who wait
are answered at once.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from activities.aws_errors import none_if_absent
from activities.clients import AwsClients
from activities.rds_resources import find_cluster, find_instance

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef, FilterTypeDef

PACE: Final = timedelta(milliseconds=600)
"""Between two calls of one operation in one Region, in the long run."""

_AT_ONCE: Final = 50
"""Calls that may be made in advance of the pace, after half a minute's rest: the first half of them at once."""

_MOST: Final = 100
"""Of one call: more would come in pages (RDS API reference, DescribeDBClusters, MaxRecords)."""

_GROUPS: Final = 20
"""Each environment is looked at once in an interval, and a twentieth of them at a time."""

Found = TypeVar("Found")
_Look = Callable[[Sequence[str]], Mapping[str, Found]]


@dataclass
class _Line(Generic[Found]):
    """Those who ask for databases of one kind in one Region.

    Attributes:
        look: Asks RDS for these, and gives those that are there.
        pace: Seconds between two calls.
    """

    look: _Look[Found]
    pace: float
    _asked: dict[str, asyncio.Future[Found | None]] = field(default_factory=dict)
    _caller: asyncio.Task[None] | None = None
    _due: float = 0.0

    async def find(self, name: str) -> Found | None:
        """One of them, None where there is none.

        Raises:
            ClientError: What RDS refuses, to everybody who was asked for in the same call.
        """
        if name not in self._asked:
            self._asked[name] = asyncio.get_running_loop().create_future()
            self._asked[name].add_done_callback(_seen)
        answer = self._asked[name]
        if self._caller is None:
            self._caller = asyncio.create_task(self._call())
        return await asyncio.shield(answer)  # one who gives up does not take the answer from another

    async def _call(self) -> None:
        try:
            while self._asked:
                await asyncio.sleep(self._turn())
                names = list(itertools.islice(self._asked, _MOST))
                answers = {name: self._asked.pop(name) for name in names}
                try:
                    found = await asyncio.to_thread(self.look, names)
                except Exception as error:
                    for answer in answers.values():
                        answer.set_exception(error)
                else:
                    for name, answer in answers.items():
                        answer.set_result(found.get(name))
        finally:
            self._caller = None

    def _turn(self) -> float:
        """How many seconds the next call has to wait for others to join it; it is counted.

        Calls made in advance of the pace add up, and time takes them away. The first half of them waits for nobody;
        from there on a call waits longer with each, and for the whole pace where none is left.
        """
        now = time.monotonic()
        self._due = max(self._due, now) + self.pace
        spent = (self._due - now) / (_AT_ONCE * self.pace) if self.pace else 0.0
        return self.pace * max(0.0, 2 * spent - 1) ** 3


def _seen(answer: "asyncio.Future[Found | None]") -> None:
    """An answer that nobody waits for any more is nobody's failure."""
    if not answer.cancelled():
        answer.exception()


def align_to_interval(interval: timedelta, now: float | None = None) -> timedelta:
    """How long to wait for the next look, so that those who look at about the same time do it at the same time.

    Then few calls answer them, and none of them holds a slot of the worker until a call is due (decision 0023).

    Args:
        interval: Between two looks; the answer differs from it by a fortieth of it at the most.
        now: Seconds since the epoch; the clock's, where none is given.
    """
    group = interval.total_seconds() / _GROUPS
    if group == 0:
        return interval
    at = time.time() if now is None else now
    due = round((at + interval.total_seconds()) / group) * group
    return timedelta(seconds=due - at)


@dataclass(frozen=True)
class DescribeBatcher:
    """What RDS says of clusters and instances, shared by everybody in this worker who waits for one."""

    clients: AwsClients
    pace: timedelta = PACE
    _clusters: "dict[str, _Line[DBClusterTypeDef]]" = field(default_factory=dict, repr=False)
    _instances: "dict[str, _Line[DBInstanceTypeDef]]" = field(default_factory=dict, repr=False)

    async def cluster(self, region: str, identifier: str) -> "DBClusterTypeDef | None":
        """A cluster by its name, None where there is none.

        Raises:
            ClientError: What RDS refuses.
        """
        if region not in self._clusters:
            rds = self.clients.rds(region)
            self._clusters[region] = _Line(lambda names: _clusters(rds, names), self.pace.total_seconds())
        return await self._clusters[region].find(identifier)

    async def instance(self, region: str, identifier: str) -> "DBInstanceTypeDef | None":
        """An instance by its name, None where there is none.

        Raises:
            ClientError: What RDS refuses.
        """
        if region not in self._instances:
            rds = self.clients.rds(region)
            self._instances[region] = _Line(lambda names: _instances(rds, names), self.pace.total_seconds())
        return await self._instances[region].find(identifier)


def _clusters(rds: "RDSClient", names: Sequence[str]) -> "dict[str, DBClusterTypeDef]":
    if len(names) > 1:
        by_name: list[FilterTypeDef] = [{"Name": "db-cluster-id", "Values": list(names)}]
        found = none_if_absent(lambda: rds.describe_db_clusters(Filters=by_name, MaxRecords=_MOST)["DBClusters"])
        if found is not None:
            return {one["DBClusterIdentifier"]: one for one in found}
    return {name: one for name in names if (one := find_cluster(rds, name)) is not None}


def _instances(rds: "RDSClient", names: Sequence[str]) -> "dict[str, DBInstanceTypeDef]":
    if len(names) > 1:
        by_name: list[FilterTypeDef] = [{"Name": "db-instance-id", "Values": list(names)}]
        found = none_if_absent(lambda: rds.describe_db_instances(Filters=by_name, MaxRecords=_MOST)["DBInstances"])
        if found is not None:
            return {one["DBInstanceIdentifier"]: one for one in found}
    return {name: one for name in names if (one := find_instance(rds, name)) is not None}
