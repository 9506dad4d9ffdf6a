"""Registers AWS accounts for organisations, and refuses keys in accounts that are not registered (contract 146)."""

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from temporalio import activity

from activities.account_registry import AccountRegistry, build_not_registered_problem
from activities.bucket_owner import refuse_foreign_bucket
from activities.clients import AwsClients
from activities.failures import ActivityContext
from byok.contracts import ACCOUNT_OF_ANOTHER_ORGANISATION_CODE
from byok.domain.arns import InvalidKeyArnError, KeyPurpose, parse_key_arn
from byok.domain.models import (
    AccountPage,
    AccountRequest,
    Environment,
    KeyConflicts,
    ListAccountsRequest,
)
from byok.domain.phases import Phase
from byok.domain.planning import Platform, plan_no_environment
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class AccountActivities:
    """The activities that read and change the registry of AWS accounts."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def find_unregistered_accounts(self, environment: Environment) -> KeyConflicts:
        """Return a problem for each customer key whose account is not registered for the environment's organisation.

        The problem is the same whether or not another organisation has registered the account. An invalid ARN is
        skipped, because the ARN rules report it.

        Raises:
            ApplicationError: AWS returned an error. The error table decides whether it stops the activity.
        """
        step = self._step(environment)
        accounts: dict[KeyPurpose, str] = {}
        for which in environment.customer_keys:
            try:
                accounts[which] = parse_key_arn(environment.key_arn(which)).account
            except InvalidKeyArnError:
                continue
        with step.translate_aws_errors(), refuse_foreign_bucket(step, self._s3, self.platform.claims_bucket):
            owners = {account: self._registry.find(account) for account in dict.fromkeys(accounts.values())}
        return KeyConflicts(
            problems=tuple(
                build_not_registered_problem(step, which, account)
                for which, account in accounts.items()
                if owners[account] != environment.organisation
            )
        )

    @activity.defn(no_thread_cancel_exception=True)
    def register_account(self, request: AccountRequest) -> None:
        """Register an account for an organisation.

        If the account is already registered for the organisation, nothing changes.

        Raises:
            ApplicationError: Stops with `byok.AccountOfAnotherOrganisation` if the account is registered for another
                organisation.
        """
        step = self._step(plan_no_environment(self.platform))
        with step.translate_aws_errors(), refuse_foreign_bucket(step, self._s3, self.platform.claims_bucket):
            owner = self._registry.register(request.account, request.organisation)
        if owner != request.organisation:
            raise step.non_retryable_error(
                ACCOUNT_OF_ANOTHER_ORGANISATION_CODE,
                f"AWS account {request.account} is registered for {owner}, not for {request.organisation}.",
                Remedy.ACCOUNT_OF_ANOTHER_ORGANISATION,
            )

    @activity.defn(no_thread_cancel_exception=True)
    def unregister_account(self, request: AccountRequest) -> bool:
        """Unregister an account, and return whether it was registered for the organisation.

        Environments that use keys in the account keep working, but no key in the account can be used for a new
        environment.
        """
        step = self._step(plan_no_environment(self.platform))
        with step.translate_aws_errors(), refuse_foreign_bucket(step, self._s3, self.platform.claims_bucket):
            return self._registry.unregister(request.account, request.organisation)

    @activity.defn(no_thread_cancel_exception=True)
    def list_accounts(self, request: ListAccountsRequest) -> AccountPage:
        """Return a page of registered accounts."""
        step = self._step(plan_no_environment(self.platform))
        with step.translate_aws_errors(), refuse_foreign_bucket(step, self._s3, self.platform.claims_bucket):
            found = self._registry.list_accounts(request.organisation, request.after)
            page = tuple(islice(found, request.size + 1))
        accounts, more = page[: request.size], len(page) > request.size
        return AccountPage(accounts=accounts, after=accounts[-1].account if more else None)

    @property
    def _s3(self) -> "S3Client":
        return self.clients.s3(self.platform.home_region)

    @property
    def _registry(self) -> AccountRegistry:
        return AccountRegistry(self._s3, self.platform.claims_bucket, self.platform.home_region)

    def _step(self, environment: Environment) -> ActivityContext:
        return ActivityContext(environment, self.platform.vendor, Phase.VALIDATING_KEYS, KeyPurpose.S3)
