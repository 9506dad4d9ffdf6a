"""Gives a key its tenant's name, as an alias and tags, through a role in the customer's account.

KMS lets nobody but the key's own account do that, whatever the key policy says (D11). What is there is compared with
what has to be, and only the difference is written, so that a step can be repeated at any time.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from temporalio import activity

from activities.aws import AwsClients, Step, outcome_of
from byok.domain.arns import parse_key_arn
from byok.domain.errors import Outcome
from byok.domain.models import KeyMarks, KeyTenant, TenantTask
from byok.domain.planning import Platform
from byok.domain.statuses import AliasState, Phase
from byok.domain.tenant import names_another_tenant

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient


@dataclass(frozen=True)
class TenantActivities:
    """Aliases and tags of the customer's keys."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def reconcile_key(self, task: TenantTask) -> KeyTenant:
        """See that one key bears its tenant's alias and tags.

        An alias of that name that points at another key is left alone, unless the task says to repoint it: it is the
        customer's, and something may be found by it.

        Raises:
            ApplicationError: `sts.AccessDenied` where the role cannot be taken on, `kms.…` with AWS's words.
        """
        step = Step(task.environment, self.platform.vendor, Phase.RECONCILING_TENANT, task.marks.key)
        with step.converted():
            session = f"byok-{task.environment.environment_id}"
            kms = self.clients.kms_as(task.role, task.environment.region, session)
            present = _aliases_of(kms, task.marks)
            written = _write_missing_tags(kms, task.marks)
            state, points_at = _alias(kms, task, present)
        return KeyTenant(
            key=task.marks.key,
            key_arn=task.marks.key_arn,
            alias=task.marks.alias,
            alias_state=state,
            points_at=points_at,
            tags_written=written,
            other_aliases=tuple(alias for alias in present if self._of_another_tenant(alias, task)),
        )

    def _of_another_tenant(self, alias: str, task: TenantTask) -> bool:
        vendor, marks = self.platform.vendor, task.marks
        tenant = next(iter(marks.tags.values()))
        return names_another_tenant(alias, marks.key, tenant, vendor)


def _aliases_of(kms: "KMSClient", marks: KeyMarks) -> list[str]:
    pages = kms.get_paginator("list_aliases").paginate(KeyId=marks.key_arn)
    return [alias["AliasName"] for page in pages for alias in page["Aliases"]]


def _write_missing_tags(kms: "KMSClient", marks: KeyMarks) -> tuple[str, ...]:
    pages = kms.get_paginator("list_resource_tags").paginate(KeyId=marks.key_arn)
    present = {tag["TagKey"]: tag["TagValue"] for page in pages for tag in page.get("Tags", [])}
    missing = {name: value for name, value in marks.tags.items() if present.get(name) != value}
    if missing:
        kms.tag_resource(
            KeyId=marks.key_arn, Tags=[{"TagKey": name, "TagValue": value} for name, value in missing.items()]
        )
    return tuple(missing)


def _alias(kms: "KMSClient", task: TenantTask, present: list[str]) -> tuple[AliasState, str | None]:
    """What became of the alias, and where it points if that is not this key."""
    marks = task.marks
    if marks.alias in present:
        return AliasState.IN_PLACE, None
    try:
        kms.create_alias(AliasName=marks.alias, TargetKeyId=marks.key_arn)
    except ClientError as error:
        if outcome_of(error) is not Outcome.EXISTS:
            raise
    else:
        return AliasState.CREATED, None
    target = _target(kms, marks.alias)
    # An earlier attempt whose answer was lost has made it; the list of the key's aliases did not show it yet.
    if target == parse_key_arn(marks.key_arn).key_id:
        return AliasState.IN_PLACE, None
    if not task.repoint:
        return AliasState.CONFLICT, target
    kms.update_alias(AliasName=marks.alias, TargetKeyId=marks.key_arn)
    return AliasState.REPOINTED, target


def _target(kms: "KMSClient", alias: str) -> str | None:
    """The key id that an alias points at; None where it is gone again."""
    for page in kms.get_paginator("list_aliases").paginate():
        for found in page["Aliases"]:
            if found["AliasName"] == alias:
                return found.get("TargetKeyId")
    return None
