"""AWS accounts that are registered for organisations, and the requests that register, unregister and list them."""

from datetime import datetime

from pydantic import Field

from byok.domain.models.base import AccountId, OrganisationName, RecordModel, RequestModel


class AccountRequest(RequestModel):
    """The input of `RegisterAccount` and `UnregisterAccount`.

    Attributes:
        organisation: The organisation that uses keys in the account.
        account: The id of the AWS account.
    """

    organisation: OrganisationName
    account: AccountId


class ListAccountsRequest(RequestModel):
    """The input of `ListAccounts`.

    Attributes:
        organisation: List only the accounts of this organisation; None lists the accounts of all organisations.
        after: The value of `after` in the previous page; None for the first page.
        size: The maximum number of accounts.
    """

    organisation: OrganisationName | None = None
    after: AccountId | None = None
    size: int = Field(default=50, ge=1, le=100)


class AccountRegistration(RecordModel):
    """An AWS account, and the organisation that it is registered for (contract 146)."""

    account: str
    organisation: str
    registered_at: datetime


class AccountPage(RecordModel):
    """A page of registered accounts, ordered by account id.

    Attributes:
        after: The value to pass as `after` to get the next page; None on the last page.
    """

    accounts: tuple[AccountRegistration, ...] = ()
    after: str | None = None
