"""Generates the reference pages about settings, phases and events from the code."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from byok.domain.models import NotificationType
from byok.domain.phases import HealthState, Phase
from byok.settings import ENV_PREFIX, Settings

PHASES: Final[Mapping[Phase, tuple[str, str]]] = {
    Phase.VALIDATING_KEYS: (
        "byok checks both ARNs, then uses the S3 key: it writes and reads a probe object through S3.",
        "Seconds. While a policy change propagates, up to the grace period.",
    ),
    Phase.CREATING_CLUSTER: (
        "byok asks RDS to create the Aurora cluster, which proves within seconds that RDS can use the Aurora key.",
        "Seconds.",
    ),
    Phase.CREATING_STORAGE: (
        "byok creates the buckets with their settings and policies, and writes the initial objects with the S3 key. "
        "This runs alongside AWAITING_DATABASE.",
        "Seconds.",
    ),
    Phase.AWAITING_DATABASE: (
        "byok waits until the cluster is available, then creates its writer and waits for it.",
        "Usually ten to fifteen minutes in AWS; at most an hour for each of the two.",
    ),
    Phase.VERIFYING: (
        "byok reads everything back from AWS and compares it with the plan. The result is the evidence.",
        "Seconds.",
    ),
    Phase.RECONCILING_TENANT: (
        "byok puts the tenant name on both keys, if the request has a tenant role or a name.",
        "Seconds.",
    ),
    Phase.READY: (
        "The environment is complete. From now on, byok checks its keys and resources every few minutes.",
        "Until you delete the environment.",
    ),
    Phase.ROLLING_BACK: (
        "byok removes what this run created, because the request said so (`on_failure: rollback`).",
        "Minutes, if there is a cluster to remove.",
    ),
    Phase.DELETING: (
        "byok removes the resources, after a final snapshot of the database unless you declined it. Keys stay.",
        "Usually ten to fifteen minutes in AWS.",
    ),
    Phase.DELETED: ("All resources are removed. A final snapshot may remain.", "For good."),
    Phase.STOPPED: (
        "A problem stopped the operation. The status has the problem and its remedy.",
        "Until you replay, delete or create the environment again.",
    ),
}
"""What byok does in each phase, and how long that takes."""

HEALTH: Final[Mapping[HealthState, str]] = {
    HealthState.HEALTHY: "Both keys work, and all settings are as byok left them.",
    HealthState.DEGRADED: "Both keys work, but a setting, policy, tag or claim differs, or a resource is missing.",
    HealthState.KEY_LOST: "AWS does not let byok use a key, or the cluster has lost access to its key.",
    HealthState.RECOVERING: "The key works again, and RDS is starting the cluster.",
    HealthState.UNKNOWN: "byok has not verified the keys for ten minutes. This says nothing about the customer.",
}

NOTIFICATIONS: Final[Mapping[NotificationType, str]] = {
    NotificationType.PROVISIONED: "The environment became READY.",
    NotificationType.STOPPED: "Provisioning or a deletion stopped. `data` has the problem.",
    NotificationType.DELETED: "The environment is deleted.",
    NotificationType.KEY_LOST: "AWS does not let byok use one of the keys of a READY environment.",
    NotificationType.CLOCK_RUNNING: "After `data.deadline`, a key or a cluster can no longer be recovered.",
    NotificationType.RECOVERED: "The key works again, and the environment is healthy.",
    NotificationType.TEST: "Someone ran `byok notifications test`.",
}

STREAM_EVENTS: Final[Mapping[str, str]] = {
    "phase": "The environment entered a phase.",
    "status": "The status changed. `data` is the whole status, as `GET /v1/environments/{environment_id}` returns it.",
    "problem": "The stream ends with an error. `data` has the code and the detail.",
}

_LIMITS: Final = {Ge: "at least", Gt: "more than", Le: "at most", Lt: "less than", MinLen: "characters: at least"}


def list_settings(model: type[BaseModel] = Settings, prefix: str = ENV_PREFIX) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the environment variable and the field of each setting, including those of nested models."""
    for name, field in model.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            yield from list_settings(nested, f"{prefix}{name.upper()}__")
        else:
            yield f"{prefix}{name.upper()}", field


def render_settings_page(written: str) -> str:
    """Render a section for each setting.

    Args:
        written: The text of docs/settings.md, whose tables describe each setting.
    """
    rows = {
        name: [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[2:4]]
        for row in re.findall(r"^\| `BYOK_.*$", written, re.MULTILINE)
        for name in re.findall(r"`(BYOK_\w+)`", row.split(" | ")[0])
    }
    parts = [
        "# Settings",
        "",
        "All settings are environment variables. An unknown variable with the prefix `BYOK_` stops a program at "
        "its start. [Settings and production](../settings.md) explains how to run byok.",
        "",
    ]
    for name, field in sorted(list_settings()):
        default, meaning = (cell.replace("](", "](../").replace("](../http", "](http") for cell in rows[name])
        limits = [
            f"{_LIMITS[type(one)]} {next(iter(_values_of(one)))}" for one in field.metadata if type(one) in _LIMITS
        ]
        parts += [f"## {name}", "", meaning, "", f"Default: {default}.", ""]
        if limits:
            parts += [f"Limits: {', '.join(limits)}.", ""]
    return "\n".join(parts)


def _values_of(limit: object) -> list[object]:
    """Return the values of all fields of a constraint, such as the number in `Ge(1)`."""
    return [getattr(limit, name) for name in limit.__dataclass_fields__]  # type: ignore[attr-defined]


def render_phases_page() -> str:
    """Render a section for each phase and for each health status."""
    parts = [
        "# Phases and health",
        "",
        "![The phases of an environment, and how it gets from one to the next](../state-machine.svg)",
        "",
        "[Lifecycle](../lifecycle.md) explains how to replay, cancel and delete an environment.",
        "",
    ]
    for phase, (what, how_long) in PHASES.items():
        final = " byok does nothing more until you act." if phase.is_final else ""
        parts += [f"## {phase}", "", f"{what}{final}", "", f"Duration: {how_long}", ""]
    parts += ["## Health", "", "A READY environment has a health. [Health](../health.md) explains what to do.", ""]
    for state, what in HEALTH.items():
        parts += [f"### {state}", "", what, ""]
    return "\n".join(parts)


def render_events_page() -> str:
    """Render a section for each notification and for each event of the stream."""
    parts = [
        "# Events",
        "",
        "byok tells other programs about changes in two ways: [notifications](../notifications.md), which byok "
        "delivers to your endpoints, and the event stream of an environment, which a program reads over HTTP.",
        "",
        "## Notifications",
        "",
    ]
    for kind, what in NOTIFICATIONS.items():
        parts += [f"### {kind}", "", what, ""]
    parts += ["## Events of the stream", "", "`GET /v1/environments/{environment_id}/events` sends:", ""]
    for name, what in STREAM_EVENTS.items():
        parts += [f"### {name}", "", what, ""]
    return "\n".join(parts)


def render_reference_index() -> str:
    """Render the page that links to all reference pages."""
    return """# Reference

These pages are made from the code when the site is built, so they always describe this version of byok.

| page | content |
|---|---|
| [Command line](cli.md) | every command and option |
| [HTTP API](api.md) | every route, with its operation id, parameters, an example and its errors |
| [Settings](settings.md) | every environment variable |
| [Problem codes](../problems/README.md) | every code, what it means, and who acts |
| [Phases and health](phases.md) | every phase, what happens in it, and how long it takes |
| [Events](events.md) | every notification, and every event of the stream |
"""
