"""Describes the databases that activities wait for.

The call rate stays limited, no matter how many environments are waiting.

RDS limits the call rate per account and Region, and all of the vendor's tools share this limit. A worker therefore
describes up to a hundred clusters or instances per call, and a token bucket limits the worker's call rate. The first
calls are made immediately. Each later call covers all databases that were requested while the call waited for a token.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from aiolimiter import AsyncLimiter

from activities.clients import AwsClients
from activities.rds_resources import MAX_RECORDS, find_clusters, find_instances

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef

MAX_CALLS_PER_PERIOD: Final = 50
"""The size of the token bucket. Each worker has one token bucket per operation and Region."""

RATE_LIMIT_PERIOD: Final = timedelta(seconds=30)
"""How long an empty token bucket takes to refill."""

Found = TypeVar("Found")
_Describe = Callable[[Sequence[str]], Mapping[str, Found]]
_NewLimiter = Callable[[], AbstractAsyncContextManager[None]]


def new_rate_limiter() -> AsyncLimiter:
    """Create the token bucket for one operation in one Region."""
    return AsyncLimiter(MAX_CALLS_PER_PERIOD, RATE_LIMIT_PERIOD.total_seconds())


@dataclass
class _Batches(Generic[Found]):
    """The batched calls to one operation in one Region.

    Attributes:
        describe: Makes one call to RDS for the given names and returns the databases that exist, by name.
        limiter: The rate limiter, an async context manager that must be entered before each call.
    """

    describe: _Describe[Found]
    limiter: AbstractAsyncContextManager[None]
    _requested: dict[str, asyncio.Future[Found | None]] = field(default_factory=dict)
    _caller: asyncio.Task[None] | None = None

    async def find(self, name: str) -> Found | None:
        """Return one database, or None if it does not exist.

        Raises:
            ClientError: RDS returned an error. All callers whose databases were in the failed call get this error.
        """
        if name not in self._requested:
            self._requested[name] = asyncio.get_running_loop().create_future()
            self._requested[name].add_done_callback(_retrieve_exception)
        answer = self._requested[name]
        if self._caller is None:
            self._caller = asyncio.create_task(self._call())
        return await asyncio.shield(answer)  # if one caller is cancelled, the other callers must still get the result

    async def _call(self) -> None:
        try:
            while self._requested:
                async with self.limiter:
                    names = list(itertools.islice(self._requested, MAX_RECORDS))
                answers = {name: self._requested.pop(name) for name in names}
                try:
                    found = await asyncio.to_thread(self.describe, names)
                except Exception as error:
                    for answer in answers.values():
                        answer.set_exception(error)
                else:
                    for name, answer in answers.items():
                        answer.set_result(found.get(name))
        finally:
            self._caller = None


def _retrieve_exception(answer: "asyncio.Future[Found | None]") -> None:
    """Retrieve a future's exception, because asyncio would otherwise log it if all callers were cancelled."""
    if not answer.cancelled():
        answer.exception()


@dataclass(frozen=True)
class DescribeBatcher:
    """Describes clusters and instances for all activities of this worker.

    Attributes:
        clients: The worker's clients.
        new_limiter: Creates the rate limiter for one operation in one Region.
    """

    clients: AwsClients
    new_limiter: _NewLimiter = new_rate_limiter
    _clusters: "dict[str, _Batches[DBClusterTypeDef]]" = field(default_factory=dict, repr=False)
    _instances: "dict[str, _Batches[DBInstanceTypeDef]]" = field(default_factory=dict, repr=False)

    async def describe_cluster(self, region: str, identifier: str) -> "DBClusterTypeDef | None":
        """Return a cluster by name, or None if it does not exist.

        Raises:
            ClientError: RDS returned an error.
        """
        if region not in self._clusters:
            rds = self.clients.rds(region)
            self._clusters[region] = _Batches(lambda names: find_clusters(rds, names), self.new_limiter())
        return await self._clusters[region].find(identifier)

    async def describe_instance(self, region: str, identifier: str) -> "DBInstanceTypeDef | None":
        """Return an instance by name, or None if it does not exist.

        Raises:
            ClientError: RDS returned an error.
        """
        if region not in self._instances:
            rds = self.clients.rds(region)
            self._instances[region] = _Batches(lambda names: find_instances(rds, names), self.new_limiter())
        return await self._instances[region].find(identifier)
