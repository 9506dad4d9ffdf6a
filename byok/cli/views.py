"""Render environments, keys and policies for people.

All output is plain lines without boxes, because users copy ARNs, commands and policy statements from the output. To
keep copied text intact, this module wraps only prose. The terminal wraps all other long lines. Only `render_progress`
truncates lines to the terminal's width, because its output is redrawn in place.
"""

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from byok.cli.remedy_views import render_problems, render_steps
from byok.cli.text import format_clock, format_time, join_lines, wrap_prose
from byok.contracts import INVALID_INPUT_PROBLEM_CODE
from byok.domain.diagnosis.diagnose import are_keys_usable
from byok.domain.iam.check.permissions import Verdict
from byok.domain.iam.check.report import PolicyReport
from byok.domain.iam.findings import Finding, Severity
from byok.domain.models import (
    CheckedKey,
    DatabaseEvidence,
    DeletionResult,
    Evidence,
    KeyCheckResult,
    ReconciledKey,
    TenantOutcome,
)
from byok.domain.phases import AliasOutcome, Encryption, HealthState, KeyVerdict, Phase
from byok.domain.problems.build import KEYS_EXCHANGED_CODE
from byok.service.pending import describe_holding, describe_pending_step
from byok.service.replay import find_replay_options
from byok.service.status import EnvironmentStatus
from byok.service.timeline import list_phase_runs

PHASE_COLOURS: Final = {
    Phase.READY: "green",
    Phase.ROLLING_BACK: "yellow",
    Phase.DELETING: "yellow",
    Phase.DELETED: "green",
    Phase.STOPPED: "red",
}
_WIDEST: Final = max(len(phase) for phase in Phase)
_VERDICT_MARKS: Final = {
    Verdict.ALLOWED: ("✓", "green"),
    Verdict.DENIED: ("✗", "red"),
    Verdict.UNKNOWN: ("?", "yellow"),
}
_KEY_VERDICT_MARKS: Final = {
    KeyVerdict.PROVED: ("✓", "green"),
    KeyVerdict.REFUSED: ("✗", "red"),
    KeyVerdict.NOT_PROVED: ("?", "yellow"),
}
_UNHEALTHY: Final = {
    HealthState.KEY_LOST: "AWS does not let byok use a key",
    HealthState.DEGRADED: "a resource is not as byok left it",
}
_SEVERITY_COLOURS: Final = {Severity.STOPS: "bold red", Severity.LATER: "bold yellow", Severity.UNKNOWN: "bold yellow"}


def render_environment(status: EnvironmentStatus) -> Text:
    """Render an environment's current status, and the outcome if the phase is final."""
    parts = [render_progress(status)]
    if status.holding is not None:
        parts += [Text(), Text(f"{status.environment_id} is {describe_holding(status.holding)}", "yellow")]
    if status.phase.is_final:
        parts += [Text(), render_outcome(status)]
    return join_lines(parts)


def render_progress(status: EnvironmentStatus) -> Text:
    """Render the phases so far with their durations, and the pending activities."""
    title = Text.assemble(
        (status.environment_id, "bold"), (f"  {status.region or ''}  {status.encryption or ''}".rstrip(), "dim")
    )
    rows = []
    for run in list_phase_runs(status):
        mark = "✗" if run.failed else "•" if run.running else "✓"
        took = "" if run.seconds is None else f"{run.seconds:6.1f} s"
        colour = "red" if run.failed else PHASE_COLOURS.get(run.phase, "")
        clock = format_clock(run.entered_at)
        rows.append(
            Text.assemble(
                (f"  {clock}  ", "dim"), (mark, colour), " ", (f"{run.phase:<{_WIDEST}}", colour), (took, "dim")
            )
        )
    waits = [Text(f"                … {describe_pending_step(item)}", "dim") for item in status.pending]
    if status.resuming:
        waits = [Text("                … resuming", "dim"), *waits]
    text = join_lines([title, *(rows or [Text("  accepted")]), *waits])
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def render_outcome(status: EnvironmentStatus, *, proof: bool = True) -> Text:
    """Render an environment's outcome.

    Args:
        status: A status with a final phase.
        proof: Whether to include the evidence.
    """
    explain = f"byok status {status.environment_id} --explain"
    if status.phase is Phase.READY:
        parts = [_render_readiness(status)]
        if status.evidence and status.evidence.database.endpoint:
            parts.append(_render_endpoint(status.evidence.database))
        if status.evidence and proof:
            parts.append(render_evidence(status.evidence))
        if status.tenant:
            parts += [Text(), render_tenant_outcome(status.tenant)]
        elif status.tenant_name and status.encryption is Encryption.PLATFORM_MANAGED:
            parts += [Text(), Text(f"Tenant name: {status.tenant_name}")]
        elif status.tenant_name:
            parts += [Text(), Text(f"Tenant name: {status.tenant_name}")]
            parts.append(Text("  To set this name on both keys (optional):"))
            parts.append(Text(f"    byok tenant {status.environment_id}"))
        if status.tenant_problems:
            parts += [Text(), Text("The last attempt to set the tenant name on the keys stopped:", "bold yellow")]
            parts.append(render_problems(status.tenant_problems, explain=explain))
        return join_lines(parts)
    if status.phase is Phase.DELETED:
        deleted = Text(f"{status.environment_id} is deleted.", "bold green")
        return join_lines([deleted, *([render_deletion(status.deletion)] if status.deletion else [])])
    where = status.problem.phase if status.problem else status.phase
    parts = [
        Text(f"{status.environment_id} stopped in {where}.", "bold red"),
        render_problems(status.problems, _list_retry_commands(status), explain=explain),
    ]
    if status.tenant:
        parts += [Text(), render_tenant_outcome(status.tenant)]
    return join_lines([*parts, Text(), _leftovers(status)])


def _render_readiness(status: EnvironmentStatus) -> Text:
    """Render the first line of the output for a READY environment.

    If the environment is not healthy, the line says so.
    """
    but = _UNHEALTHY.get(status.health.last_state) if status.health is not None else None
    if but is None:
        return Text(f"{status.environment_id} is ready.", "bold green")
    return Text(f"{status.environment_id} is ready, but {but}: see its health below.", "bold red")


def _render_endpoint(database: DatabaseEvidence) -> Text:
    port = f":{database.port}" if database.port else ""
    return Text.assemble("  endpoint  ", (f"{database.endpoint}{port}", "bold"))


def render_deletion(done: DeletionResult) -> Text:
    """Render the removed resources and the database snapshot that was kept."""
    removed = [Text(f"  removed   {name}") for name in done.removed] or [Text("  Nothing was left to remove.", "dim")]
    snapshot = done.final_snapshot
    kept = (
        [Text(f"  kept      final snapshot {snapshot.arn}"), Text(f"            encrypted with {snapshot.key_arn}")]
        if snapshot
        else [Text("  This run took no snapshot of the database.", "dim")]
    )
    return join_lines([*removed, *kept, Text("  The KMS keys were not changed.", "dim")])


def render_tenant_outcome(found: TenantOutcome) -> Text:
    """Render the aliases and tags of both keys, or the commands that set them."""
    if found.commands:
        told = Text(f"To set {found.tenant} on both keys, the key administrator runs one of these commands:", "bold")
        return join_lines([told, *(Text(f"\n{command}") for command in found.commands)])
    rows = []
    for key in found.keys:
        name = key.key.display_name
        if key.alias_state is AliasOutcome.CONFLICT:
            rows.append(Text(f"✗ {name}: {key.alias} points to another key, {key.points_at}; not changed.", "red"))
            rows.append(Text("  tags not changed"))
            if key.remediation is not None:
                rows.append(render_steps(key.remediation))
        else:
            rows.append(Text(f"✓ {name}: {key.alias} ({key.alias_state})"))
            rows.append(Text(f"  tags {_tags(key)}"))
        rows += [Text(f"  also has an alias for another tenant: {alias}", "dim") for alias in key.other_aliases]
    return join_lines(rows)


def _tags(key: ReconciledKey) -> str:
    if not key.tags_written:
        return "in place"
    before = key.tags_replaced
    return "written: " + ", ".join(
        f"{name} (was {before[name]})" if name in before else name for name in key.tags_written
    )


def render_evidence(proof: Evidence) -> Text:
    """Render the resources that each key encrypts, as AWS reported them at the end of provisioning.

    If the keys are platform-managed, the output says so, because an ARN alone does not show who owns the key.
    """
    lines = []
    for key_arn, resources in proof.group_by_key().items():
        whose = "  (key of the platform)" if proof.encryption is Encryption.PLATFORM_MANAGED else ""
        lines += [
            Text.assemble(("  ", ""), (key_arn, "bold"), (whose, "dim")),
            *(Text(_row(*one)) for one in resources),
        ]
    return join_lines(lines)


def render_key_check(check: KeyCheckResult) -> Text:
    """Render the verdict on each key, and the problems."""
    lines = [_render_verdict(one) for one in check.keys.both]
    if check.keys.any_refused:
        lines.append(Text("These keys cannot be used.", "bold red"))
    elif check.keys.all_proved:
        lines.append(Text("These keys can be used.", "bold green"))
    else:
        lines.append(Text("Not verified: it is unknown whether the platform can use these keys.", "bold yellow"))
    retry = []
    if any(one.code == KEYS_EXCHANGED_CODE for one in check.findings):
        swapped = f"--s3-key-arn {check.keys.rds.key_arn} --rds-key-arn {check.keys.s3.key_arn}"
        retry = [Text(f"byok check --region {check.region} {swapped}")]
    if check.findings:
        lines.append(render_problems(check.findings, retry))
    return join_lines(lines)


def _render_verdict(one: CheckedKey) -> Text:
    mark, colour = _KEY_VERDICT_MARKS[one.verdict]
    if one.verdict is KeyVerdict.PROVED and one.at is not None:
        how = f"{one.service} used it at {format_time(one.at)}"
        how += f", request id {one.request_id}" if one.request_id else ""
    elif one.verdict is KeyVerdict.REFUSED and one.problem is not None:
        how = one.problem.code
    else:
        how = one.reason or ""
    return Text.assemble((mark, colour), f" {one.key.display_name} {one.key_arn}: {one.verdict}. {wrap_prose(how, 2)}")


def render_policy_report(report: PolicyReport) -> Text:
    """Render one row per permission, then the findings."""
    name = report.which.display_name
    rows = [_permission(report, index) for index in range(len(report.rows))]
    end = {
        True: Text(f"The policy lets the platform use the {name}.", "bold green"),
        False: Text(f"The platform cannot use the {name}.", "bold red"),
        None: Text(f"Whether the platform can use the {name} depends on facts that only AWS knows.", "bold yellow"),
    }[report.is_usable]
    return join_lines([*rows, *([Text()] if rows else []), end, *(render_finding(one) for one in report.findings)])


def render_diagnosis(found: Sequence[Finding]) -> Text:
    """Render the overall result for two keys, and every finding with the name of its key."""
    head = {
        True: Text("The collected data shows no problem with these keys.", "bold green"),
        False: Text("These keys cannot be used in their current state.", "bold red"),
        None: Text("Cannot tell whether these keys can be used, because some of the data is missing.", "bold yellow"),
    }[are_keys_usable(found)]
    return join_lines([head, *(render_finding(one, named=True) for one in found)])


def render_finding(one: Finding, *, named: bool = False) -> Text:
    """Render a finding: what is wrong, the remedy, and the statements to paste."""
    whose = f"{one.key.display_name if one.key else 'Both keys'}: " if named else ""
    parts = [
        Text(),
        Text(f"{whose}{one.remediation.title}", _SEVERITY_COLOURS.get(one.severity, "bold")),
        Text(f"  {one.code}, {one.severity}", "dim"),
        Text(f"  {wrap_prose(one.message, 2)}"),
    ]
    if one.permissions:
        missing = ", ".join(one.permissions)
        parts.append(Text(f"  {wrap_prose(f'Missing permissions: {missing}.', 2)}"))
    return join_lines([*parts, render_steps(one.remediation)])


def _permission(report: PolicyReport, index: int) -> Text:
    row = report.rows[index]
    mark, colour = _VERDICT_MARKS[row.verdict]
    by = f"by {row.sid}" if row.sid and row.verdict is Verdict.ALLOWED else ""
    if row.verdict is Verdict.DENIED:
        by = f"denied: {row.misfits[0].cause}"
    if row.verdict is Verdict.UNKNOWN:
        by = "cannot be determined from here"
    return Text.assemble((mark, colour), f" {row.call.action:<36} {row.call.purpose:<42} {by}".rstrip())


def _leftovers(status: EnvironmentStatus) -> Text:
    if status.left_behind:
        return join_lines([Text("  Left behind:"), *(Text(f"    {item}") for item in status.left_behind)])
    if status.is_deletion:
        return Text("  byok did not check which resources are left.", "dim")
    found = status.resources
    kept = [f"cluster {found.cluster.identifier}"] if found.cluster else []
    kept += [f"writer {found.writer.identifier}"] if found.writer else []
    kept += [f"bucket {bucket.name}" for bucket in found.buckets]
    if not kept:
        rolled_back = any(entry.phase is Phase.ROLLING_BACK for entry in status.timeline)
        # This line of the output covers only this run. An earlier run may have left resources that this run did not
        # reach.
        return Text(f"  {'All created resources were removed.' if rolled_back else 'This run created nothing.'}", "dim")
    return Text(f"  Kept: {', '.join(kept)}", "dim")


def _list_retry_commands(status: EnvironmentStatus) -> list[Text]:
    """Return the commands to run once the remedy is applied, or an empty list if no command would help."""
    name = status.environment_id
    if status.is_deletion:
        return [Text(f"byok delete {name}")]
    if status.problem is not None and status.problem.code == INVALID_INPUT_PROBLEM_CODE:
        arguments = "--region <Region> --s3-key-arn <S3 key ARN> --rds-key-arn <RDS key ARN>"
        return [Text(f"byok create --name {name} {arguments}")]
    how = find_replay_options(status)
    if how is None:
        return []
    if how.swapped is not None:
        keys = f"--s3-key-arn {how.swapped.s3_key_arn} --rds-key-arn {how.swapped.rds_key_arn}"
        return [Text(f"byok replay {name} {keys}")]
    others = " ".join(f"--{which}-key-arn <{which.field_label}>" for which in how.other_keys)
    commands = [Text(f"byok replay {name}")] if how.same_keys else []
    if others:
        commands.append(Text.assemble(f"byok replay {name} {others}", ("  with another key", "dim")))
    return commands


def _row(kind: str, name: str, note: str) -> str:
    return f"    {kind:<8}  {name:<40}  {note}".rstrip()
