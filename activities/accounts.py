"""Registers AWS accounts for organisations, and refuses keys in accounts that are not registered (contract 146)."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice

from temporalio import activity

from activities.account_registry import AccountRegistry
from activities.bucket_owner import refuse_foreign_bucket
from activities.clients import AwsClients
from activities.failures import ActivityContext
from activities.probe_bucket import ProbeBucket
from byok.contracts import ACCOUNT_OF_ANOTHER_ORGANISATION_CODE
from byok.domain.arns import KeyPurpose
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


@dataclass(frozen=True)
class AccountActivities:
    """The activities that read and change the registry of AWS accounts."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def find_unregistered_accounts(self, environment: Environment) -> KeyConflicts:
        """Return a problem for each customer key whose account is not registered for the environment's organisation.

        The problem is the same whether or not another organisation has registered the account. Invalid ARNs are
        skipped, because ARN validation already reports them.

        Raises:
            ApplicationError: AWS returned an error. The error table decides whether the error stops the activity.
        """
        step = self._step(environment)
        with step.translate_aws_errors(), self._refuse_foreign_bucket(step):
            problems = self._registry.list_unregistered(step, environment.customer_keys)
        return KeyConflicts(problems=problems)

    @activity.defn(no_thread_cancel_exception=True)
    def register_account(self, request: AccountRequest) -> None:
        """Register an account for an organisation.

        If the account is already registered for the organisation, nothing changes.

        Raises:
            ApplicationError: `byok.AccountOfAnotherOrganisation`, if the account is registered for another
                organisation.
        """
        step = self._step(plan_no_environment(self.platform))
        with step.translate_aws_errors(), self._refuse_foreign_bucket(step):
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
        with step.translate_aws_errors(), self._refuse_foreign_bucket(step):
            return self._registry.unregister(request.account, request.organisation)

    @activity.defn(no_thread_cancel_exception=True)
    def list_accounts(self, request: ListAccountsRequest) -> AccountPage:
        """Return a page of registered accounts."""
        step = self._step(plan_no_environment(self.platform))
        with step.translate_aws_errors(), self._refuse_foreign_bucket(step):
            found = self._registry.list_accounts(request.organisation, request.after)
            page = tuple(islice(found, request.size + 1))
        accounts, more = page[: request.size], len(page) > request.size
        return AccountPage(accounts=accounts, after=accounts[-1].account if more else None)

    @property
    def _registry(self) -> AccountRegistry:
        return AccountRegistry(ProbeBucket.of_home_region(self.clients, self.platform))

    def _refuse_foreign_bucket(self, step: ActivityContext) -> AbstractContextManager[None]:
        bucket = self._registry.bucket
        return refuse_foreign_bucket(step, bucket.s3, bucket.name)

    def _step(self, environment: Environment) -> ActivityContext:
        return ActivityContext(environment, self.platform.vendor, Phase.VALIDATING_KEYS, KeyPurpose.S3)
