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
        organisation: List only the accounts of this organisation.
        after: The value of `after` on the previous page.
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
        after: Where the next page begins; None after the last page.
    """

    accounts: tuple[AccountRegistration, ...] = ()
    after: str | None = None
