"""Activities that release claims, list claims, and check whether the claimed keys are in use (contract 123, 138)."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from temporalio import activity

from activities.clients import AwsClients
from activities.failures import ActivityContext
from activities.inventory import Inventory
from activities.key_claims import KeyClaims
from byok.domain.arns import InvalidKeyArnError, KeyArn, KeyPurpose, parse_key_arn
from byok.domain.models import (
    Environment,
    KeyClaim,
    KeyClaimPage,
    ListClaimsRequest,
    OwnedResources,
)
from byok.domain.phases import Phase, request_kind_for_phase
from byok.domain.planning import Platform, plan_no_environment


@dataclass(frozen=True)
class ClaimActivities:
    """The activities for claims on keys, which check in AWS whether the claimed keys are in use."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def release_unused_claims(self, environment: Environment) -> None:
        """Release the claim on each of the customer's two keys, unless the key encrypts a resource of the environment.

        Raises:
            ApplicationError: AWS returned an error. The error table decides whether the error stops the activity.
        """
        step = self._step(environment, Phase.CREATING_CLUSTER)
        keys = _parse_all(environment.key_arn(which) for which in environment.customer_keys)
        if not keys:
            return
        with step.translate_aws_errors():
            used = _keys_in_use(self._find_resources(environment))
            for key in keys:
                if key.global_id not in used:
                    KeyClaims(self.clients, self.platform, step).release_key(str(key))

    @activity.defn(no_thread_cancel_exception=True)
    def release_all_claims(self, environment: Environment) -> None:
        """Release all claims of an environment, except claims on keys that still encrypt a resource of the environment.

        The activity finds the claims in the index, so it does not need to know the keys.

        Raises:
            ApplicationError: AWS returned an error. The error table decides whether the error stops the activity.
        """
        step = self._step(environment, Phase.DELETING)
        with step.translate_aws_errors():
            used = _keys_in_use(self._find_resources(environment))
            KeyClaims(self.clients, self.platform, step).release_all(used)

    @activity.defn(no_thread_cancel_exception=True)
    def list_key_claims(self, request: ListClaimsRequest) -> KeyClaimPage:
        """List claims, and check in AWS whether their environments exist and use the keys.

        Raises:
            ApplicationError: AWS returned an error. The error table decides whether the error stops the activity.
        """
        step = self._step(plan_no_environment(self.platform), Phase.VALIDATING_KEYS)
        inventory = Inventory(self.clients, self.platform)
        with step.translate_aws_errors():
            found = KeyClaims(self.clients, self.platform, step).list_claims(request.account, request.after)
            page = list(islice(found, request.size + 1))
            more = len(page) > request.size
            page = page[: request.size]
            listed = inventory.list_databases()
            owned = {name: inventory.find_resources(name, listed) for name in {one.environment_id for one in page}}
        explained = tuple(_explain(claim, owned[claim.environment_id]) for claim in page)
        return KeyClaimPage(claims=explained, after=explained[-1].global_key_id if more else None)

    def _find_resources(self, environment: Environment) -> OwnedResources:
        inventory = Inventory(self.clients, self.platform)
        return inventory.find_resources(
            environment.environment_id, inventory.list_databases(), environment.organisation
        )

    def _step(self, environment: Environment, phase: Phase) -> ActivityContext:
        return ActivityContext(
            environment, self.platform.vendor, phase, KeyPurpose.S3, request_kind=request_kind_for_phase(phase)
        )


def _explain(claim: KeyClaim, owned: OwnedResources) -> KeyClaim:
    used = claim.global_key_id in _keys_in_use(owned)
    return claim.model_copy(update={"exists": bool(owned.all_resources), "used": used})


def _keys_in_use(owned: OwnedResources) -> frozenset[str]:
    return frozenset(key.global_id for key in _parse_all((*owned.s3_key_arns, *owned.rds_key_arns)))


def _parse_all(key_arns: Iterable[str]) -> list[KeyArn]:
    """Parse key ARNs. Text that is not a key ARN is skipped, because no claim can exist for such text."""
    found: list[KeyArn] = []
    for arn in key_arns:
        with contextlib.suppress(InvalidKeyArnError):
            found.append(parse_key_arn(arn))
    return found
