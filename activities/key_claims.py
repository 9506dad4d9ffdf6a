"""Prevents two environments from sharing a key."""

from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from activities.account_registry import AccountRegistry
from activities.bucket_owner import refuse_foreign_bucket
from activities.clients import AwsClients
from activities.failures import ActivityContext, stop_with_problems
from activities.probe_bucket import CLAIMS, ProbeBucket
from byok.domain.arns import InvalidKeyArnError, KeyPurpose, parse_key_arn
from byok.domain.models import Environment, KeyClaim, Problem
from byok.domain.planning import Platform
from byok.domain.problems.remediation import Remedy

_BY_ENVIRONMENT: Final = "claims-by-environment/"
"""The prefix of an index that lists claims by environment. With this index, a deletion does not need to read the claims
of all environments. Only the objects under `claims/` are authoritative.
"""


class _Claim(NamedTuple):
    environment_id: str
    organisation: str | None
    key_arn: str


@dataclass(frozen=True)
class KeyClaims:
    """Records which environment uses a key (contract 123), in one object per key in the home Region's probe bucket.

    A key's object is created by a conditional write, which fails if the object already exists. If two environments that
    request the same key start at the same moment, only one of them can claim the key. The replicas of a multi-Region
    key share one key id, and therefore one claim.

    An index has an entry for each claim, so that a deletion can find the environment's claims. byok writes the index
    entry before the claim, and deletes the claim before the index entry. Every claim therefore has an index entry, even
    if a worker is killed between two writes. An index entry without a claim does no harm, because only the claim
    determines which environment holds the key. Two workflows never change the same part of the index at the same time,
    because both would need the same workflow id, which only one running workflow can have.
    """

    clients: AwsClients
    platform: Platform
    step: ActivityContext

    def acquire(self, *keys: KeyPurpose) -> None:
        """Claim the customer's keys for the environment. A claim that the environment already holds stays unchanged.

        Platform-managed keys are not claimed, because all platform-managed environments in a Region share them. An
        organisation's environment claims only keys in accounts that are registered for the organisation (contract 146).
        The workflow has already checked the registration, but the account can be unregistered before a replay.

        Raises:
            ApplicationError: A key cannot be claimed. The error contains a problem for each such key: `byok.KeyInUse`,
                if another environment has claimed the key; `byok.AccountNotRegistered`, if the environment has not
                claimed the key yet and the key's account is not registered. If another account owns the probe bucket,
                the error contains the problem `byok.BucketOfAnotherAccount`.
        """
        unregistered = self._list_unregistered(keys)
        if unregistered:
            raise stop_with_problems(unregistered)
        conflicts = self._list_conflicts(keys, self._claim)
        if conflicts:
            raise stop_with_problems(conflicts)

    def list_conflicts(self) -> tuple[Problem, ...]:
        """Return a problem for each key that another environment has claimed, without claiming any key (contract 129).

        Invalid ARNs are skipped, because ARN validation already reports them.

        Raises:
            ApplicationError: `byok.BucketOfAnotherAccount`, if another account owns the probe bucket.
        """

        def look_up(which: KeyPurpose) -> _Claim | None:
            try:
                return self._read(_claim_on(self._environment.key_arn(which)))
            except InvalidKeyArnError:
                return None

        return self._list_conflicts(tuple(KeyPurpose), look_up)

    def release_key(self, key_arn: str) -> None:
        """Release the claim on a key, if this environment holds the claim.

        Raises:
            ClientError: S3 refused a call.
        """
        self._release(parse_key_arn(key_arn).global_id)

    def release_all(self, keys_in_use: Container[str]) -> None:
        """Release all claims that this environment holds, except the claims on keys in use.

        Args:
            keys_in_use: The keys in use, each as `<account>/<key id>`.

        Raises:
            ClientError: S3 refused a call.
        """
        prefix = self._index_key("")
        for entry in self._bucket.list_objects(prefix, prefix):
            key_id = entry["Key"].removeprefix(prefix)
            if key_id not in keys_in_use:
                self._release(key_id)

    def list_environment_ids(self) -> set[str]:
        """Return the ids of all environments that have claimed a key.

        Raises:
            ClientError: S3 refused a call.
        """
        entries = self._bucket.list_objects(_BY_ENVIRONMENT, _BY_ENVIRONMENT)
        return {entry["Key"].removeprefix(_BY_ENVIRONMENT).split("/", 1)[0] for entry in entries}

    def read_own_claims(self) -> dict[str, str | None]:
        """Return the organisation in each claim of this environment, with the ARNs of the claimed keys as keys.

        Raises:
            ClientError: S3 refused a call.
        """
        prefix = self._index_key("")
        entries = self._bucket.list_objects(prefix, prefix)
        claims = [self._read(CLAIMS + entry["Key"].removeprefix(prefix)) for entry in entries]
        return {claim.key_arn: claim.organisation for claim in claims if claim is not None and self._is_own(claim)}

    def list_claims(self, account: str | None = None, after: str | None = None) -> Iterator[KeyClaim]:
        """Yield the claims on the keys of one account, or of all accounts, ordered by account and key id.

        Args:
            account: The account that owns the keys; None for all accounts.
            after: Skip the claim with this `<account>/<key id>` and all claims before it; None to begin with the first
                claim.
        """
        prefix = CLAIMS if account is None else f"{CLAIMS}{account}/"
        for item in self._bucket.list_objects(prefix, prefix if after is None else f"{CLAIMS}{after}"):
            name = item["Key"]
            claim = self._read(name)
            if claim is None:  # the claim was released after it was listed
                continue
            owner, key_id = name.removeprefix(CLAIMS).split("/", 1)
            yield KeyClaim(
                account=owner,
                key_id=key_id,
                key_arn=claim.key_arn,
                environment_id=claim.environment_id,
                claimed_at=item["LastModified"],
            )

    @property
    def _environment(self) -> Environment:
        return self.step.environment

    @property
    def _bucket(self) -> ProbeBucket:
        return ProbeBucket.of_home_region(self.clients, self.platform)

    def _refuse_foreign_bucket(self) -> AbstractContextManager[None]:
        return refuse_foreign_bucket(self.step, self._bucket.s3, self._bucket.name)

    def _list_conflicts(
        self, keys: tuple[KeyPurpose, ...], find_claim: Callable[[KeyPurpose], _Claim | None]
    ) -> tuple[Problem, ...]:
        with self._refuse_foreign_bucket():
            claims = {which: find_claim(which) for which in keys if which in self._environment.customer_keys}
        return tuple(
            self._conflict(which, claim)
            for which, claim in claims.items()
            if claim is not None and not self._is_own(claim)
        )

    def _is_own(self, claim: _Claim) -> bool:
        """Return whether the environment holds a claim.

        An organisation can request an environment id that the vendor or another organisation uses. For an
        organisation's environment, the claim's organisation must therefore match as well.
        """
        environment = self._environment
        same_owner = environment.organisation in (None, claim.organisation)
        return same_owner and claim.environment_id == environment.environment_id

    def _holds_claim(self, key_arn: str) -> bool:
        claim = self._read(_claim_on(key_arn))
        return claim is not None and self._is_own(claim)

    def _release(self, key_id: str) -> None:
        """Release the claim on a key, if this environment holds the claim, and delete the index entry.

        Environments of different owners can have the same id, and therefore the same part of the index. If the claim
        belongs to another owner's environment with the same id, the index entry is kept.
        """
        claim = self._read(CLAIMS + key_id)
        if claim is not None and claim.environment_id == self._environment.environment_id:
            if not self._is_own(claim):
                return
            self._bucket.delete_objects(CLAIMS + key_id)
        self._bucket.delete_objects(self._index_key(key_id))

    def _index_key(self, key_id: str) -> str:
        return f"{_BY_ENVIRONMENT}{self._environment.environment_id}/{key_id}"

    def _list_unregistered(self, keys: tuple[KeyPurpose, ...]) -> tuple[Problem, ...]:
        """Return a problem for each key whose account is not registered for the environment's organisation.

        Keys that the environment has already claimed are skipped. Another environment's claim is not reported, because
        the report would reveal to the organisation that the key is in use.
        """
        environment = self._environment
        if environment.organisation is None:
            return ()
        with self._refuse_foreign_bucket():
            unclaimed = [
                which
                for which in keys
                if which in environment.customer_keys and not self._holds_claim(environment.key_arn(which))
            ]
            return AccountRegistry(self._bucket).list_unregistered(self.step, unclaimed)

    def _conflict(self, which: KeyPurpose, claim: _Claim) -> Problem:
        described = _describe_holder(claim, self._environment.organisation)
        message = f"{self._environment.key_arn(which)} is the {which.display_name} of {described}."
        step = replace(self.step, key=which)
        return step.build_problem("byok.KeyInUse", message, Remedy.KEY_IN_USE, customer_key=True)

    def _claim(self, which: KeyPurpose) -> _Claim:
        environment = self._environment
        own = _Claim(environment.environment_id, environment.organisation, environment.key_arn(which))
        self._bucket.write_index_entry(self._index_key(parse_key_arn(own.key_arn).global_id))
        return _Claim(**self._bucket.write_record_once(_claim_on(own.key_arn), own._asdict()))

    def _read(self, name: str) -> _Claim | None:
        record = self._bucket.read_record(name)
        return None if record is None else _Claim(**record)


def _claim_on(key_arn: str) -> str:
    return f"{CLAIMS}{parse_key_arn(key_arn).global_id}"


def _describe_holder(claim: _Claim, organisation: str | None) -> str:
    """Describe the environment that holds a claim.

    The description omits the environment's id if the caller's organisation does not own the environment.
    """
    return (
        f"environment {claim.environment_id}" if organisation in (None, claim.organisation) else "another environment"
    )
