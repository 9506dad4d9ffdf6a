"""The registry of AWS accounts: which organisation may use keys in which account (contract 146)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from activities.aws_errors import decide_error_outcome, none_if_absent
from activities.failures import ActivityContext
from activities.probe_bucket import ProbeBucket
from byok.domain.arns import KeyPurpose
from byok.domain.models import AccountRegistration, Problem
from byok.domain.problems.aws_errors import ErrorOutcome
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NOT_REGISTERED_CODE: Final = "byok.AccountNotRegistered"
"""Code of the problem that a key is in an account that is not registered for the environment's organisation."""

_ACCOUNTS: Final = "accounts/"
_BY_ORGANISATION: Final = "accounts-by-organisation/"
"""An index, so that listing the accounts of one organisation does not read those of all others. `accounts/` decides."""


@dataclass(frozen=True)
class AccountRegistry:
    """Stores one object per registered account in the home Region's probe bucket.

    S3 writes the object only if it does not exist yet, so an account belongs to one organisation, even if two
    organisations are registered at the same moment. A lookup makes the same single call whether the account is
    registered for the requesting organisation, for another organisation, or not at all.

    Attributes:
        s3: The S3 client of the home Region.
        bucket: The home Region's probe bucket.
        region: The home Region.
    """

    s3: "S3Client"
    bucket: str
    region: str

    def find(self, account: str) -> str | None:
        """Return the organisation that an account is registered for; None if it is not registered."""
        found = none_if_absent(lambda: self.s3.get_object(Bucket=self.bucket, Key=_ACCOUNTS + account))
        return None if found is None else str(json.loads(found["Body"].read())["organisation"])

    def register(self, account: str, organisation: str) -> str:
        """Register an account for an organisation, unless the account is registered already.

        Returns: The organisation for which the account is registered after the call.
        """
        owner = self._write(account, organisation)
        if owner == organisation:
            self.s3.put_object(Bucket=self.bucket, Key=f"{_BY_ORGANISATION}{organisation}/{account}", Body=b"")
        return owner

    def _write(self, account: str, organisation: str) -> str:
        body = json.dumps({"organisation": organisation}).encode()
        try:
            ProbeBucket(self.s3, self.bucket, self.region).write(
                lambda: self.s3.put_object(
                    Bucket=self.bucket,
                    Key=_ACCOUNTS + account,
                    Body=body,
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
            )
        except ClientError as error:
            if decide_error_outcome(error) is not ErrorOutcome.EXISTS:
                raise
            # If the account is no longer registered, it was unregistered between the two calls.
            return self.find(account) or self._write(account, organisation)
        return organisation

    def unregister(self, account: str, organisation: str) -> bool:
        """Unregister an account if it is registered for the organisation.

        Returns:
            Whether the account was registered for the organisation.
        """
        if self.find(account) != organisation:
            return False
        self.s3.delete_object(Bucket=self.bucket, Key=_ACCOUNTS + account)
        self.s3.delete_object(Bucket=self.bucket, Key=f"{_BY_ORGANISATION}{organisation}/{account}")
        return True

    def list_accounts(self, organisation: str | None, after: str | None) -> Iterator[AccountRegistration]:
        """Yield the registered accounts, ordered by account id.

        Args:
            organisation: Yield only the accounts of this organisation.
            after: The account after which the list begins; None to begin with the first one.
        """
        prefix = _ACCOUNTS if organisation is None else f"{_BY_ORGANISATION}{organisation}/"
        pages = self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, StartAfter=prefix + (after or "")
        )
        try:
            for page in pages:
                for item in page.get("Contents", []):
                    account = item["Key"].removeprefix(prefix)
                    owner = self.find(account)
                    if owner is not None and organisation in (None, owner):
                        yield AccountRegistration(
                            account=account, organisation=owner, registered_at=item["LastModified"]
                        )
        except ClientError as error:
            if decide_error_outcome(error) is not ErrorOutcome.ABSENT:  # the bucket does not exist yet
                raise


def build_not_registered_problem(step: ActivityContext, which: KeyPurpose, account: str) -> Problem:
    """Build the problem for a key whose account is not registered for the organisation of the environment."""
    organisation = step.environment.organisation
    message = f"AWS account {account} is not registered for {organisation}, so byok does not use the key."
    return replace(step, key=which).build_problem(
        NOT_REGISTERED_CODE, message, Remedy.ACCOUNT_NOT_REGISTERED, customer_key=True
    )
