"""Determines which environment or which keys an AWS event concerns (contract 141).

An event causes byok to check an environment immediately, but does not determine the result of the check. Events can be
late, repeated, lost or out of order, so only the check shows whether the keys work.
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
"""The maximum age of an event. byok rejects older events, because the regular health checks, which run every few
minutes, have already detected the change."""

MAX_AHEAD: Final = timedelta(minutes=5)
"""How far in the future an event's time may be. This limit is larger than any expected difference between AWS's clock
and the server's clock."""

RDS_EVENT_IDS: Final = frozenset({f"RDS-EVENT-{number}" for number in ("0418", "0419", "0420", "0150", "0151")})
"""The RDS events that byok accepts. The events report that RDS cannot access an instance's key (0418), that RDS is
about to make the instance inaccessible (0419), that RDS can access the key again (0420), that a cluster was stopped
(0150), and that a cluster was started (0151) (Aurora user guide, "Amazon RDS event categories and event messages for
Aurora")."""

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
"""The KMS operations that can make a key unusable or usable again. Only CloudTrail reports these operations."""

_NO_DELETION: Final = frozenset({"CancelKeyDeletion", "EnableKey"})
"""If one of these KMS operations succeeds, the key is not scheduled for deletion. EnableKey is included because KMS
does not enable a key that is pending deletion."""

_WAITING_DAYS: Final = range(7, 31)
_DEFAULT_DAYS: Final = 30
"""The default waiting period. `_WAITING_DAYS` contains all waiting periods that KMS accepts (KMS API,
ScheduleKeyDeletion)."""

_RDS_INSTANCE: Final = "RDS DB Instance Event"
_RDS_CLUSTER: Final = "RDS DB Cluster Event"
_CLOUDTRAIL: Final = "AWS API Call via CloudTrail"


class AwsEvent(BaseModel):
    """An event as EventBridge sends it (EventBridge user guide, "AWS service event metadata"). Ignores other fields.

    Attributes:
        account: The account in which the event happened.
        resources: The ARNs that the event is about; empty in an event from CloudTrail.
        detail: The event's own fields, which depend on `source` and `detail_type`.
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
        """Return whether the event is recent enough, and not too far in the future."""
        return -MAX_AHEAD <= now - self.time <= MAX_AGE


@dataclass(frozen=True)
class ReportedDeletion:
    """A scheduled or cancelled deletion of a key, as reported by an event.

    Attributes:
        delete_at: When KMS deletes the key; None if the deletion was cancelled.
        reported_at: The time of the event.
    """

    delete_at: datetime | None
    reported_at: datetime


@dataclass(frozen=True)
class EventSubject:
    """The resources that an event concerns: either the cluster of one environment, or one or more keys.

    Attributes:
        region: The Region of the cluster or the keys.
        environment_id: The environment id, taken from the name of a cluster or an instance; byok does not check that
            the environment exists. None if the event concerns keys.
        key_arns: The ARNs of the keys; empty if the event concerns a cluster.
        deletion: The scheduled or cancelled deletion that the event reports; None if the event reports no such change.
    """

    region: str
    environment_id: str | None = None
    key_arns: frozenset[str] = frozenset()
    deletion: ReportedDeletion | None = None


def find_subject(event: AwsEvent, vendor: VendorProfile, platform_account: str) -> EventSubject | None:
    """Return the resources that an event concerns; None if the event gives no reason to check an environment.

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
    """Return the key deletion that an event reports.

    The waiting period begins when ScheduleKeyDeletion is called, so byok adds the waiting period to the time of the
    event. byok does not parse the deletion date in the event, because CloudTrail writes this date as text, such as `Apr
    12, 2021 18:58:30 PM`, and omits the date for a multi-Region key that has replicas (KMS developer guide,
    "ScheduleKeyDeletion").
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
    """Return the environment id in the name of a cluster or a writer; None if the name does not have byok's format."""
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
    # An event with an error code reports a failed operation, which changes nothing.
    return _read_text(event, "eventName") in KMS_OPERATIONS and not event.detail.get("errorCode")


def _read_text(event: AwsEvent, field: str) -> str:
    """Return a field of the event's details; empty if the field is missing or is not text."""
    value = event.detail.get(field)
    return value if isinstance(value, str) else ""


def _list_key_arns(event: AwsEvent) -> Iterator[str]:
    """Yield the ARNs of the keys that an event concerns.

    The function skips keys that are not in the event's account and Region. An event from KMS has the key's ARN in
    `resources`. An event from CloudTrail has the key's ARN in `detail.resources`, and either the ARN or the key id in
    `detail.requestParameters.keyId`.
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
