"""Registers, unregisters and lists the AWS accounts of organisations (contract 146)."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.accounts import AccountActivities
    from byok.contracts import LIST_ACCOUNTS_WORKFLOW, REGISTER_ACCOUNT_WORKFLOW, UNREGISTER_ACCOUNT_WORKFLOW
    from byok.domain.models import AccountPage, AccountRequest, ListAccountsRequest
from workflows.activity_options import READ_OPTIONS


@workflow.defn(name=REGISTER_ACCOUNT_WORKFLOW)
class RegisterAccount:
    """Registers an AWS account for an organisation. Repeating the request changes nothing."""

    @workflow.run
    async def run(self, request: AccountRequest) -> None:
        """Register the account."""
        await workflow.execute_activity_method(AccountActivities.register_account, request, **READ_OPTIONS)


@workflow.defn(name=UNREGISTER_ACCOUNT_WORKFLOW)
class UnregisterAccount:
    """Unregisters an AWS account. Existing environments that use the account's keys keep working."""

    @workflow.run
    async def run(self, request: AccountRequest) -> bool:
        """Unregister the account, and return whether it was registered for the organisation."""
        return await workflow.execute_activity_method(AccountActivities.unregister_account, request, **READ_OPTIONS)


@workflow.defn(name=LIST_ACCOUNTS_WORKFLOW)
class ListAccounts:
    """Lists one page of registered accounts."""

    @workflow.run
    async def run(self, request: ListAccountsRequest) -> AccountPage:
        """Return the page."""
        return await workflow.execute_activity_method(AccountActivities.list_accounts, request, **READ_OPTIONS)
