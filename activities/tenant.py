"""Puts a tenant name on a key, as an alias and tags, through a role in the customer's account.

KMS lets only the account that owns a key create aliases and tags for the key, regardless of the key policy (D11). The
activity compares the current labels with the required labels and writes only the difference, so it is idempotent.
"""

import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from temporalio import activity

from activities.aws_errors import decide_error_outcome
from activities.bucket_owner import refuse_foreign_bucket
from activities.bucket_settings import read_bucket_tags, read_default_encryption
from activities.clients import AwsClients
from activities.encryption import find_encryption_conflict
from activities.external_ids import ExternalIds
from activities.failures import ActivityContext
from activities.health_object import HealthObject
from activities.ownership import has_environment_tag
from activities.rds_resources import find_cluster, is_tagged_for, require_key_access
from byok.domain.arns import KeyPair, KeyPurpose, parse_key_arn
from byok.domain.encryption import ENCRYPTION_CANNOT_CHANGE_CODE
from byok.domain.models import (
    Environment,
    EnvironmentProbeResult,
    KeyLabels,
    Problem,
    ReconciledKey,
    ReconcileKeyTask,
    TenantCommandsTask,
    TenantOutcome,
)
from byok.domain.onboarding.customer_commands import CustomerCommands
from byok.domain.phases import AliasOutcome, Phase, RequestKind
from byok.domain.planning import Platform, plan_buckets, plan_cluster
from byok.domain.problems.aws_errors import ErrorOutcome
from byok.domain.problems.remediation import Remedy, build_alias_remediation
from byok.domain.remediation import Remediation
from byok.domain.tenant import TagDifference, decide_alias_state, is_alias_of_another_tenant

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_LOOK_AGAIN: Final = timedelta(seconds=1)
_NOTHING: Final = TagDifference({}, {})


@dataclass(frozen=True)
class TenantActivities:
    """The activities that put aliases and tags on the customer's keys."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def probe_environment(self, environment: Environment) -> EnvironmentProbeResult:
        """Check that an environment exists and that it was created with the two keys in the request (contract 12, 123).

        The check covers the resources that have the environment's tag, and the key that encrypts each of them. Some
        buckets can be missing, because the vendor may have added them to the blueprint after the environment was
        created. If there are no findings, the check also proves that the keys work, because a tenant name on a lost key
        would suggest that the key is in use.

        Returns: The findings for both keys, with the code `byok.EnvironmentNotThere`, `byok.EncryptionCannotChange` or
        `byok.NotThisEnvironmentsKeys`.

        Raises:
            ApplicationError: `rds.<status>`, if the cluster has lost access to its key; `s3.KMS.…` or `s3.AccessDenied`
                with AWS's message, if S3 cannot use the S3 key. For other errors of RDS and S3, see the error table.
        """
        step = self._step(environment, KeyPurpose.RDS, RequestKind.TENANT)
        with step.translate_aws_errors():
            plan = plan_cluster(environment.environment_id, self.platform)
            cluster = find_cluster(self.clients.rds(environment.region), plan.identifier)
            if cluster is None or not is_tagged_for(cluster, environment):
                return _missing_findings(step, f"no cluster {plan.identifier} in {environment.region} has its tag")
            on = {plan.identifier: cluster.get("KmsKeyId")}
        findings = _other_key_findings(step, on)
        step = self._step(environment, KeyPurpose.S3, RequestKind.TENANT)
        with step.translate_aws_errors():
            s3 = self.clients.s3(environment.region)
            buckets = plan_buckets(environment.environment_id, environment.region, self.platform)
            names = [one.name for one in buckets if has_environment_tag(read_bucket_tags(s3, one.name), environment)]
            if not names:
                return _missing_findings(
                    step, f"none of its buckets has its tag: {', '.join(one.name for one in buckets)}"
                )
            on = {name: read_default_encryption(s3, name)[1] for name in names}
        findings = (*_other_key_findings(step, on), *findings)
        if not findings:
            self._prove_keys(environment, plan.identifier, cluster.get("Status", ""))
        return EnvironmentProbeResult(findings=findings)

    def _prove_keys(self, environment: Environment, cluster: str, status: str) -> None:
        require_key_access(self._step(environment, KeyPurpose.RDS, RequestKind.TENANT), cluster, status)
        step = self._step(environment, KeyPurpose.S3, RequestKind.TENANT)
        s3 = self.clients.on_behalf_of(environment.organisation).s3(environment.region)
        with step.translate_aws_errors():
            HealthObject(s3, environment).prove_key(write=True)

    @activity.defn(no_thread_cancel_exception=True)
    def build_tenant_commands(self, task: TenantCommandsTask) -> TenantOutcome:
        """Return the commands with which the customer can put the tenant name on both keys. Nothing is changed.

        The commands include the organisation's external id. With this id, the customer can deploy a tenant role, so
        that the platform can put the name on the keys.

        Raises:
            ApplicationError: AWS returned an error. The error table decides whether the error stops the activity.
        """
        environment = task.environment
        step = self._step(environment, KeyPurpose.S3, RequestKind.TENANT)
        with step.translate_aws_errors():
            external_id = self._get_external_id(step)
        commands = CustomerCommands(
            self.platform.role_arn,
            environment.region,
            self.platform.vendor,
            task.stack_name,
            environment.profile,
            environment.organisation,
        )
        keys = KeyPair(environment.s3_key_arn, environment.rds_key_arn)
        return TenantOutcome(tenant=task.tenant, commands=commands.name_keys_commands(keys, task.tenant, external_id))

    @activity.defn(no_thread_cancel_exception=True)
    def reconcile_key(self, task: ReconcileKeyTask) -> ReconciledKey:
        """Put the tenant's alias and tags on one key.

        An alias that already points to another key is changed only if the task requests the change, because the alias
        belongs to the customer, and other software may depend on the alias. If the alias stays unchanged, the activity
        does not write the tags either, because otherwise the alias and the tags would be on different keys.

        Raises:
            ApplicationError: `sts.AccessDenied`, if the worker cannot assume the role; `kms.…` with AWS's message, if
                KMS returns an error.
        """
        marks = task.marks
        step = self._step(task.environment, marks.key, task.request_kind)
        with step.translate_aws_errors():
            session = f"byok-{task.environment.environment_id}"
            external_id = self._get_external_id(step)
            kms = self.clients.kms_assuming_role(task.role_arn, external_id, task.environment.region, session)
            present = _aliases_of(kms, marks)
            state, points_at = _reconcile_alias(kms, step, task, present)
            tags = _NOTHING if state is AliasOutcome.CONFLICT else _write_tags(kms, marks)
        return ReconciledKey(
            key=marks.key,
            key_arn=marks.key_arn,
            alias=marks.alias,
            alias_state=state,
            points_at=points_at,
            remediation=_alias_remediation(step, marks, points_at)
            if points_at and state is AliasOutcome.CONFLICT
            else None,
            tags_written=tuple(tags.missing),
            tags_replaced=tags.replaced,
            other_aliases=tuple(
                alias
                for alias in present
                if is_alias_of_another_tenant(alias, marks.key, marks.tenant, self.platform.vendor)
            ),
        )

    def _get_external_id(self, step: ActivityContext) -> str:
        ids = ExternalIds.of_platform(self.clients, self.platform)
        with refuse_foreign_bucket(step, ids.bucket.s3, ids.bucket.name):
            return ids.get(step.environment.organisation)

    def _step(self, environment: Environment, key: KeyPurpose, request_kind: RequestKind) -> ActivityContext:
        return ActivityContext(environment, self.platform.vendor, Phase.RECONCILING_TENANT, key, request_kind)


def _missing_findings(step: ActivityContext, why: str) -> EnvironmentProbeResult:
    message = (
        f"Environment {step.environment.environment_id} does not exist, so it cannot be given a tenant name: {why}."
    )
    return EnvironmentProbeResult(
        findings=(step.build_problem("byok.EnvironmentNotThere", message, Remedy.ENVIRONMENT_NOT_THERE),)
    )


def _other_key_findings(step: ActivityContext, on: dict[str, str | None]) -> tuple[Problem, ...]:
    """Return a finding if any of the given resources is not encrypted with the key in the request."""
    key = step.environment.key_arn(step.key)
    conflict = next(filter(None, (find_encryption_conflict(step, used) for used in on.values())), None)
    if conflict is not None:
        return (
            step.build_problem(
                ENCRYPTION_CANNOT_CHANGE_CODE, conflict, Remedy.ENCRYPTION_CANNOT_CHANGE, customer_key=True
            ),
        )
    others = [f"{name} is encrypted with {used or 'no customer key'}" for name, used in on.items() if used != key]
    if not others:
        return ()
    message = f"{key} is not the key of environment {step.environment.environment_id}: {', '.join(others)}."
    return (step.build_problem("byok.NotThisEnvironmentsKeys", message, Remedy.NOT_THESE_KEYS, customer_key=True),)


def _alias_remediation(step: ActivityContext, marks: KeyLabels, points_at: str) -> Remediation:
    ask_again = f"byok tenant {step.environment.environment_id} {shlex.quote(marks.tenant)}"
    within_reach = points_at in _key_ids(step.environment)
    return build_alias_remediation(step.remedy_context, marks.alias, points_at, ask_again, within_reach=within_reach)


def _key_ids(environment: Environment) -> set[str]:
    return {parse_key_arn(environment.key_arn(which)).key_id for which in KeyPurpose}


def _aliases_of(kms: "KMSClient", marks: KeyLabels) -> list[str]:
    pages = kms.get_paginator("list_aliases").paginate(KeyId=marks.key_arn)
    return [alias["AliasName"] for page in pages for alias in page["Aliases"]]


def _reconcile_alias(
    kms: "KMSClient", step: ActivityContext, task: ReconcileKeyTask, present: list[str]
) -> tuple[AliasOutcome, str | None]:
    """Reconcile the alias, and return its state.

    If the alias points to another key, or pointed to another key until this call changed it, also return the id of that
    key.
    """
    marks, key_id = task.marks, parse_key_arn(task.marks.key_arn).key_id
    if marks.alias in present:
        return AliasOutcome.IN_PLACE, None
    try:
        kms.create_alias(AliasName=marks.alias, TargetKeyId=marks.key_arn)
    except ClientError as error:
        if decide_error_outcome(error) is not ErrorOutcome.EXISTS:
            raise
    else:
        return AliasOutcome.CREATED, None
    points_at = _alias_target(kms, marks.alias)
    if points_at is None:
        raise step.retry_later_error(
            "kms.AliasInMotion", f"{marks.alias} exists, but KMS does not list its key yet.", _LOOK_AGAIN
        )
    # IN_PLACE here means that an earlier attempt created the alias but lost the response, and that the list of the
    # key's aliases (`present`) did not contain the alias yet.
    state = decide_alias_state(points_at, key_id, _key_ids(task.environment), repoint=task.repoint)
    if state is AliasOutcome.REPOINTED:
        kms.update_alias(AliasName=marks.alias, TargetKeyId=marks.key_arn)
    return state, None if state is AliasOutcome.IN_PLACE else points_at


def _alias_target(kms: "KMSClient", alias: str) -> str | None:
    """Return the id of the key that an alias points to.

    Returns None if the alias has been deleted, or if ListAliases does not list it yet. The alias of an AWS managed key
    is not necessarily associated with a key (KMS, AliasListEntry).
    """
    for page in kms.get_paginator("list_aliases").paginate():
        for found in page["Aliases"]:
            if found["AliasName"] == alias:
                return found.get("TargetKeyId")
    return None


def _write_tags(kms: "KMSClient", marks: KeyLabels) -> TagDifference:
    """Write the tags that are missing or have other values, and return the difference."""
    pages = kms.get_paginator("list_resource_tags").paginate(KeyId=marks.key_arn)
    present = {tag["TagKey"]: tag["TagValue"] for page in pages for tag in page.get("Tags", [])}
    difference = TagDifference.between(present, marks.tags)
    if difference.missing:
        tags = [{"TagKey": name, "TagValue": value} for name, value in difference.missing.items()]
        kms.tag_resource(KeyId=marks.key_arn, Tags=tags)  # type: ignore[arg-type]
    return difference
