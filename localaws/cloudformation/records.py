"""The record of a stack, and planned changes to its resources.

The record is plain data, so that it can be saved and restored after a restart.
"""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from localaws.cloudformation.resources.kind import Resource
from localaws.cloudformation.template import Template


@dataclass
class DesiredState:
    """The target state of a stack: the input of CreateStack, UpdateStack or a change set, with all values resolved.

    Attributes:
        capabilities: The capabilities that the caller acknowledged.
    """

    template: Template
    parameters: dict[str, str]
    tags: dict[str, str]
    capabilities: tuple[str, ...] = ()


@dataclass
class Stack:
    """A stack and its history.

    Attributes:
        desired_state: The state requested by the last create or update, or None while the status is REVIEW_IN_PROGRESS.
        resources: The existing resources, in order of creation.
        changes: The change sets by name, as DescribeChangeSet returns them, with the desired state under `"wish"`.
    """

    stack_id: str
    name: str
    account: str
    region: str
    created: datetime
    status: str
    reason: str = ""
    updated: datetime | None = None
    desired_state: DesiredState | None = None
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def set_status(self, status: str, reason: str = "") -> None:
        """Set the status and record an event."""
        self.status, self.reason = status, reason
        self.record_event(self.name, self.stack_id, "AWS::CloudFormation::Stack", status, reason)

    def record_event(self, logical_id: str, physical_id: str, kind: str, status: str, reason: str = "") -> None:
        """Record an event."""
        event: dict[str, Any] = {
            "StackId": self.stack_id,
            "EventId": f"{logical_id}-{status}-{uuid.uuid4()}",
            "StackName": self.name,
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "Timestamp": datetime.now(UTC),
            "ResourceStatus": status,
        }
        self.events.append(event | ({"ResourceStatusReason": reason} if reason else {}))


@dataclass
class Change:
    """One planned change to a resource: `Add`, `Modify` or `Remove`."""

    action: str
    resource: Resource
    old: Resource | None = None
    replaces: bool = False
