"""Prevent two environments from sharing a key."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from activities.aws_errors import decide_error_outcome, none_if_absent
from activities.bucket_owner import refuse_foreign_bucket
from activities.failures import ActivityContext, stop_with_problems
from byok.domain.arns import InvalidKeyArnError, KeyPurpose, parse_key_arn
from byok.domain.models import Environment, Problem
from byok.domain.problems.aws_errors import ErrorOutcome
from byok.domain.problems.remediation import Remedy
from byok.domain.scopes import organisation_of_environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CLAIMS: Final = "claims/"


@dataclass(frozen=True)
class KeyClaims:
    """Records which environment uses a key (contract 123), in one object per key in the platform's probe bucket.

    S3 writes the object only if it does not exist yet. If two environments that name the same key start at the same
    moment, only one of them gets the key.
    """

    s3: "S3Client"
    step: ActivityContext

    def acquire_both(self) -> None:
        """Claim both keys for the environment. A claim that the environment already holds stays unchanged.

        Raises:
            ApplicationError: Stops with a `byok.KeyInUse` problem for each key that another environment holds, or with
                `byok.BucketOfAnotherAccount` if another account owns the probe bucket.
        """
        conflicts = self._list_conflicts(self._claim)
        if conflicts:
            raise stop_with_problems(conflicts)

    def list_conflicts(self) -> tuple[Problem, ...]:
        """Return a problem for each key that another environment holds, and claim nothing (contract 129).

        An invalid ARN is skipped, because the ARN rules report it.

        Raises:
            ApplicationError: Stops with `byok.BucketOfAnotherAccount` if another account owns the probe bucket.
        """

        def look_up(which: KeyPurpose) -> str | None:
            try:
                return self._owner(_claim_on(self._environment.key_arn(which)))
            except InvalidKeyArnError:
                return None

        return self._list_conflicts(look_up)

    def release_both(self) -> None:
        """Release the environment's claims on both keys."""
        for which in self._environment.customer_keys:
            self.release_key(self._environment.key_arn(which))

    def release_key(self, key_arn: str) -> None:
        """Release a key, if this environment has claimed it."""
        name = _claim_on(key_arn)
        if self._owner(name) == self._environment.environment_id:
            self.s3.delete_object(Bucket=self._environment.probe_bucket, Key=name)

    @property
    def _environment(self) -> Environment:
        return self.step.environment

    def _list_conflicts(self, find_owner: Callable[[KeyPurpose], str | None]) -> tuple[Problem, ...]:
        own = self._environment.environment_id
        with refuse_foreign_bucket(self.step, self.s3, self._environment.probe_bucket):
            owners = {which: find_owner(which) for which in self._environment.customer_keys}
        return tuple(
            self._conflict(which, owner) for which, owner in owners.items() if owner is not None and owner != own
        )

    def _conflict(self, which: KeyPurpose, owner: str) -> Problem:
        described = _describe_owner(owner, self._environment.environment_id)
        message = f"{self._environment.key_arn(which)} is the {which.display_name} of {described}."
        step = replace(self.step, key=which)
        return step.build_problem("byok.KeyInUse", message, Remedy.KEY_IN_USE, customer_key=True)

    def _claim(self, which: KeyPurpose) -> str:
        name = _claim_on(self._environment.key_arn(which))
        body = json.dumps({"environment_id": self._environment.environment_id}).encode()
        try:
            self.s3.put_object(
                Bucket=self._environment.probe_bucket,
                Key=name,
                Body=body,
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if decide_error_outcome(error) is not ErrorOutcome.EXISTS:
                raise
            # If `_owner` returns None, the claim was released between the two calls, and the key is free again.
            return self._owner(name) or self._claim(which)
        return self._environment.environment_id

    def _owner(self, name: str) -> str | None:
        answer = none_if_absent(lambda: self.s3.get_object(Bucket=self._environment.probe_bucket, Key=name))
        if answer is None:
            return None
        owner: str = json.loads(answer["Body"].read())["environment_id"]
        return owner


def _claim_on(key_arn: str) -> str:
    arn = parse_key_arn(key_arn)
    return f"{_CLAIMS}{arn.account}/{arn.key_id}"


def _describe_owner(owner: str, environment_id: str) -> str:
    """Return the owner's environment id, or a general description if the owner belongs to another organisation."""
    same = organisation_of_environment(owner) == organisation_of_environment(environment_id)
    return f"environment {owner}" if same else "another environment"
