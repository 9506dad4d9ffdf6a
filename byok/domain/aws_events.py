"""Finds out which environment an AWS event is about (contract 141).

An event is a reason to check an environment now, and never a verdict: events can be late, repeated, lost or out of
order, and only a check proves anything.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from byok.domain import naming
from byok.domain.arns import REGION_PATTERN, InvalidKeyArnError, parse_key_arn, partition_of_region
from byok.domain.vendor import VendorProfile

MAX_AGE: Final = timedelta(minutes=15)
"""byok refuses older events. The checks that run every few minutes have seen what such an event reports."""

MAX_AHEAD: Final = timedelta(minutes=5)
"""byok refuses events from further in the future. The clocks of AWS and of the server differ by less."""

RDS_EVENT_IDS: Final = frozenset({f"RDS-EVENT-{number}" for number in ("0418", "0419", "0420", "0150", "0151")})
"""RDS cannot use the key of an instance, will make the instance inaccessible, can use the key again; a cluster was
stopped, was started (Aurora user guide, "Amazon RDS event categories and event messages for Aurora")."""

KMS_DETAIL_TYPES: Final = frozenset(
    {"KMS CMK Rotation", "KMS Imported Key Material Expiration", "KMS CMK Deletion"},
)
"""The events that KMS itself sends (KMS developer guide, "Monitor KMS keys with Amazon EventBridge")."""

KMS_OPERATIONS: Final = frozenset(
    {
        "CancelKeyDeletion",
        "DeleteImportedKeyMaterial",
        "DisableKey",
        "EnableKey",
        "PutKeyPolicy",
        "RevokeGrant",
        "ScheduleKeyDeletion",
    }
)
"""The KMS operations that can take a key away or give it back. Only CloudTrail reports them."""

_NO_DELETION: Final = frozenset({"CancelKeyDeletion", "EnableKey"})
"""The KMS operations after which no deletion of the key is scheduled: KMS refuses to enable a key that is pending
deletion."""

_WAITING_DAYS: Final = range(7, 31)
_DEFAULT_DAYS: Final = 30
"""The waiting period of ScheduleKeyDeletion, and its default (KMS API, ScheduleKeyDeletion)."""

_RDS_INSTANCE: Final = "RDS DB Instance Event"
_RDS_CLUSTER: Final = "RDS DB Cluster Event"
_CLOUDTRAIL: Final = "AWS API Call via CloudTrail"


class AwsEvent(BaseModel):
    """An event as EventBridge sends it (EventBridge user guide, "AWS service event metadata"). Ignores other fields.

    Attributes:
        account: The account in which the event happened.
        resources: The ARNs that the event is about; empty in an event from CloudTrail.
        detail: The fields that depend on `source` and `detail_type`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1, max_length=128)
    detail_type: str = Field(alias="detail-type", max_length=256)
    source: str = Field(max_length=256)
    account: str = Field(pattern=r"^[0-9]{12}$")
    time: AwareDatetime
    region: str = Field(pattern=REGION_PATTERN, max_length=32)
    resources: tuple[str, ...] = ()
    detail: dict[str, Any] = {}

    def is_timely(self, now: datetime) -> bool:
        """Return whether the event is neither too old nor from the future."""
        return -MAX_AHEAD <= now - self.time <= MAX_AGE


@dataclass(frozen=True)
class ReportedDeletion:
    """What an event says about the deletion of a key.

    Attributes:
        delete_at: When KMS deletes the key; None if its deletion was cancelled.
        reported_at: The time of the event.
    """

    delete_at: datetime | None
    reported_at: datetime


@dataclass(frozen=True)
class EventSubject:
    """What an event is about: the cluster of an environment, or keys.

    Attributes:
        region: The Region of the cluster or the keys.
        environment_id: The id that the name of a cluster or an instance contains; such an environment need not exist.
        key_arns: The ARNs of the keys; empty if the event is about a cluster.
        deletion: What the event says about the deletion of the key, if anything.
    """

    region: str
    environment_id: str | None = None
    key_arns: frozenset[str] = frozenset()
    deletion: ReportedDeletion | None = None


def find_subject(event: AwsEvent, vendor: VendorProfile, platform_account: str) -> EventSubject | None:
    """Return what an event is about; None if the event gives no reason to check an environment.

    Args:
        event: The event.
        vendor: The vendor profile, which determines the names of clusters.
        platform_account: The account that contains the clusters.
    """
    if event.source == "aws.rds":
        environment_id = _find_environment_id(event, vendor) if event.account == platform_account else None
        return None if environment_id is None else EventSubject(event.region, environment_id)
    key_arns = frozenset(_list_key_arns(event)) if _is_about_a_key(event) else frozenset()
    return EventSubject(event.region, key_arns=key_arns, deletion=_find_deletion(event)) if key_arns else None


def _find_deletion(event: AwsEvent) -> ReportedDeletion | None:
    """Return what an event about a key says about the deletion of the key.

    CloudTrail writes the date as text, such as `Apr 12, 2021 18:58:30 PM`, and omits the date for a multi-Region key
    that has replicas. KMS counts the waiting period from the call, so byok counts as well, and does not parse the text
    (KMS developer guide, "ScheduleKeyDeletion").
    """
    operation = _read_text(event, "eventName") if event.detail_type == _CLOUDTRAIL else ""
    if operation in _NO_DELETION:
        return ReportedDeletion(None, event.time)
    requested, answered = event.detail.get("requestParameters"), event.detail.get("responseElements")
    if operation != "ScheduleKeyDeletion" or not isinstance(answered, Mapping) or "deletionDate" not in answered:
        return None
    days = requested.get("pendingWindowInDays", _DEFAULT_DAYS) if isinstance(requested, Mapping) else None
    if not isinstance(days, int) or days not in _WAITING_DAYS:
        return None
    return ReportedDeletion(event.time + timedelta(days=days), event.time)


def _find_environment_id(event: AwsEvent, vendor: VendorProfile) -> str | None:
    """Return the id in the name of the cluster or its writer; None if byok would not have given this name."""
    name = _read_text(event, "SourceIdentifier")
    if _read_text(event, "EventID") not in RDS_EVENT_IDS:
        return None
    build = {_RDS_INSTANCE: naming.writer_identifier, _RDS_CLUSTER: naming.cluster_identifier}.get(event.detail_type)
    if build is None:
        return None
    before, _, after = build(vendor, "\n").partition("\n")
    found = name.removeprefix(before).removesuffix(after)
    valid = re.fullmatch(naming.ENVIRONMENT_ID_PATTERN, found) and len(found) <= naming.ENVIRONMENT_ID_MAX_LENGTH
    return found if valid and build(vendor, found) == name else None


def _is_about_a_key(event: AwsEvent) -> bool:
    if event.source != "aws.kms":
        return False
    if event.detail_type != _CLOUDTRAIL:
        return event.detail_type in KMS_DETAIL_TYPES
    # An operation with an error code has changed nothing.
    return _read_text(event, "eventName") in KMS_OPERATIONS and not event.detail.get("errorCode")


def _read_text(event: AwsEvent, field: str) -> str:
    """Return a field of the event's details; empty if the field is missing or is not text."""
    value = event.detail.get(field)
    return value if isinstance(value, str) else ""


def _list_key_arns(event: AwsEvent) -> Iterator[str]:
    """Yield the ARNs of the keys that an event is about, if they belong to the event's account and Region.

    Events of KMS contain the ARN in `resources`. Events from CloudTrail contain it in `detail.resources`, and contain
    the ARN or only the id in `detail.requestParameters.keyId`.
    """
    requested, named = event.detail.get("requestParameters"), event.detail.get("resources")
    candidates: list[Any] = [*event.resources]
    candidates += [one.get("ARN") for one in named if isinstance(one, Mapping)] if isinstance(named, list) else []
    key_id = requested.get("keyId") if isinstance(requested, Mapping) else None
    if isinstance(key_id, str):
        prefix = f"arn:{partition_of_region(event.region)}:kms:{event.region}:{event.account}:key/"
        candidates.append(key_id if ":" in key_id else f"{prefix}{key_id}")
    for one in candidates:
        try:
            arn = parse_key_arn(one) if isinstance(one, str) else None
        except InvalidKeyArnError:
            continue
        if arn is not None and (arn.account, arn.region) == (event.account, event.region):
            yield str(one)
