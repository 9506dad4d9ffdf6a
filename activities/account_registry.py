"""The registry of AWS accounts: the organisation that may use the keys in each account (contract 146)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from activities.failures import ActivityContext
from activities.probe_bucket import ProbeBucket
from byok.domain.arns import InvalidKeyArnError, KeyPurpose, parse_key_arn
from byok.domain.models import AccountRegistration, Problem
from byok.domain.problems.remediation import Remedy

NOT_REGISTERED_CODE: Final = "byok.AccountNotRegistered"
"""The problem code for a key whose account is not registered for the environment's organisation."""

_ACCOUNTS: Final = "accounts/"
_BY_ORGANISATION: Final = "accounts-by-organisation/"
"""The prefix of an index that lists accounts by organisation. With this index, byok can list one organisation's
accounts without reading the records of all other accounts. Only the records under `accounts/` are authoritative.
"""


@dataclass(frozen=True)
class AccountRegistry:
    """Stores one object per registered account in the home Region's probe bucket.

    The object is created by a conditional write, which fails if the object already exists. An account therefore belongs
    to at most one organisation, even if two organisations register the account at the same moment. Every lookup makes
    exactly one call to S3, whether the account is registered for the requesting organisation, for another organisation,
    or not at all.

    Attributes:
        bucket: The home Region's probe bucket.
    """

    bucket: ProbeBucket

    def find(self, account: str) -> str | None:
        """Return the organisation that an account is registered for; None if the account is not registered."""
        record = self.bucket.read_record(_ACCOUNTS + account)
        return None if record is None else str(record["organisation"])

    def register(self, account: str, organisation: str) -> str:
        """Register an account for an organisation, unless the account is already registered.

        Returns: The organisation for which the account is registered after the call.
        """
        record = self.bucket.write_record_once(_ACCOUNTS + account, {"organisation": organisation})
        if record["organisation"] == organisation:
            self.bucket.write_index_entry(_index_key(organisation, account))
        return str(record["organisation"])

    def unregister(self, account: str, organisation: str) -> bool:
        """Unregister an account if it is registered for the organisation.

        Returns:
            Whether the account was registered for the organisation.
        """
        if self.find(account) != organisation:
            return False
        self.bucket.delete_objects(_ACCOUNTS + account, _index_key(organisation, account))
        return True

    def list_accounts(self, organisation: str | None, after: str | None) -> Iterator[AccountRegistration]:
        """Yield the registered accounts, ordered by account id.

        Args:
            organisation: Yield only the accounts of this organisation.
            after: Skip this account and all accounts before it; None to begin with the first account.
        """
        prefix = _ACCOUNTS if organisation is None else _index_key(organisation, "")
        for item in self.bucket.list_objects(prefix, prefix + (after or "")):
            account = item["Key"].removeprefix(prefix)
            owner = self.find(account)
            if owner is not None and organisation in (None, owner):
                yield AccountRegistration(account=account, organisation=owner, registered_at=item["LastModified"])

    def list_unregistered(self, step: ActivityContext, keys: Iterable[KeyPurpose]) -> tuple[Problem, ...]:
        """Return a problem for each key whose account is not registered for the environment's organisation.

        Invalid ARNs are skipped, because ARN validation already reports them.
        """
        accounts: dict[KeyPurpose, str] = {}
        for which in keys:
            try:
                accounts[which] = parse_key_arn(step.environment.key_arn(which)).account
            except InvalidKeyArnError:
                continue
        owners = {account: self.find(account) for account in dict.fromkeys(accounts.values())}
        return tuple(
            build_not_registered_problem(step, which, account)
            for which, account in accounts.items()
            if owners[account] != step.environment.organisation
        )


def _index_key(organisation: str, account: str) -> str:
    return f"{_BY_ORGANISATION}{organisation}/{account}"


def build_not_registered_problem(step: ActivityContext, which: KeyPurpose, account: str) -> Problem:
    """Build the problem for a key whose account is not registered for the organisation of the environment."""
    organisation = step.environment.organisation
    message = f"AWS account {account} is not registered for {organisation}, so byok does not use the key."
    return replace(step, key=which).build_problem(
        NOT_REGISTERED_CODE, message, Remedy.ACCOUNT_NOT_REGISTERED, customer_key=True
    )
