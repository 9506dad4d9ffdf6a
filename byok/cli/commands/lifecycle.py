"""`byok replay`, `byok cancel` and `byok delete`: act on an existing environment."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byok.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    Output,
    OutputFormat,
    UsageError,
    exit_on_error,
    print_json,
    print_message,
    print_text,
)
from byok.cli.requesters import Reason, connect_as_requester
from byok.domain.phases import Encryption

if TYPE_CHECKING:
    from byok.service.bulk_replay import BulkReplayOutcome
    from byok.service.status import EnvironmentStatus

Name = Annotated[str, typer.Argument(help="The environment's id.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until the operation is complete, then show the outcome.")]


def replay(
    name: Annotated[str | None, typer.Argument(help="The environment's id; omit it with --all.")] = None,
    s3_key_arn: Annotated[str | None, typer.Option(help="ARN of another S3 key, to replace the rejected key.")] = None,
    rds_key_arn: Annotated[
        str | None, typer.Option(help="ARN of another Aurora key, to replace the rejected key.")
    ] = None,
    payload: Annotated[str | None, typer.Option(help="The onboarding payload, instead of the two ARNs.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Replay every environment that stopped with the problem code in --code.")
    ] = False,
    code: Annotated[str | None, typer.Option(help="With --all: the problem code, such as rds.Throttling.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --all: only list the environments to replay.")
    ] = False,
    reason: Reason = None,
    wait: Wait = False,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Resume a stopped environment at the failed step.

    Fix the key first. Completed steps are not repeated. If you pass other keys, provisioning starts over and adopts the
    environment's existing resources. With --all and --code, resume all environments that stopped with the same problem.

    Examples:
        byok replay acme --wait
        byok replay acme --s3-key-arn "$S3_KEY_ARN"
        byok replay --all --code rds.Throttling --dry-run

    Exit codes: 0 ready, or resumed without --wait; 1 failed, or nothing to replay, or (with --all) an environment could
    not be replayed; 2 incorrect usage; 3 stopped by a customer's key again.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        keys = _keys(s3_key_arn, rds_key_arn, payload)
        if every:
            if name is not None or keys or wait or code is None:
                raise UsageError("--all: specify --code, and leave out the environment's id, the ARNs and --wait.")
            raise typer.Exit(asyncio.run(_replay_all(code, reason, dry_run=dry_run, as_json=output.is_json)))
        if name is None or code is not None or dry_run:
            raise UsageError("Specify the environment's id, or --all with --code. --dry-run requires --all.")
        raise typer.Exit(asyncio.run(_replay(name, keys, reason, wait=wait, as_json=output.is_json)))


def cancel(name: Name, reason: Reason = None, wait: Wait = False, output: Output = OutputFormat.TEXT) -> None:
    """Cancel the operation in progress on an environment.

    The step in progress finishes first. byok then keeps all resources or, if the environment was created with
    --on-failure rollback, removes them. `byok status` shows the result.

    Examples:
        byok cancel acme --wait

    Exit codes: 0 cancellation requested, or completed with --wait; 1 there is nothing to cancel; 2 incorrect usage.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        asyncio.run(_cancel(name, reason, wait=wait, as_json=output.is_json))


def delete(
    name: Name,
    confirm: Annotated[
        str | None, typer.Option(help="The environment's id again. Without this option, byok prompts for the id.")
    ] = None,
    final_snapshot: Annotated[
        bool, typer.Option(help="Take a snapshot of the database first, encrypted with the Aurora key.")
    ] = True,
    region: Annotated[
        str | None,
        typer.Option(
            help="The environment's Region. Required only if Temporal no longer has a record of the environment; "
            "otherwise, byok compares the value with the recorded Region."
        ),
    ] = None,
    payload: Annotated[
        str | None, typer.Option(help="The onboarding payload, to compare with the environment's keys.")
    ] = None,
    platform_managed: Annotated[
        bool,
        typer.Option(
            "--platform-managed",
            help="State that the environment uses platform-managed keys. byok verifies this statement in AWS.",
        ),
    ] = False,
    reason: Reason = None,
    wait: Wait = False,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Delete an environment.

    Removes only the environment's database, its buckets and the objects that provisioning wrote. If a bucket contains
    other objects, or if the Region, the keys or the kind of encryption in AWS differ from those in the request, nothing
    is removed. The keys are never touched.

    Examples:
        byok delete acme --wait
        byok delete acme --confirm acme --no-final-snapshot --reason "end of the trial"

    Exit codes: 0 deleted, or deletion accepted without --wait; 1 some resources remain, or the environment cannot be
    deleted now; 2 incorrect usage, or not confirmed; 3 stopped by a customer's key.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        given: dict[str, Any] = {"region": region, **_keys(None, None, payload)}
        if platform_managed:
            given["encryption"] = Encryption.PLATFORM_MANAGED
        if platform_managed and payload:
            raise UsageError(
                "--platform-managed: leave out --payload, because a platform-managed environment does not use the "
                "customer's keys."
            )
        _confirm(name, confirm, final_snapshot=final_snapshot)
        code = asyncio.run(
            _delete(name, given, reason, final_snapshot=final_snapshot, wait=wait, as_json=output.is_json)
        )
    raise typer.Exit(code)


def _keys(s3_key_arn: str | None, rds_key_arn: str | None, payload: str | None) -> dict[str, str]:
    from byok.domain.onboarding.payload import PayloadError, expand_payload_fields, parse_payload

    try:
        if payload is not None:
            if s3_key_arn or rds_key_arn:
                raise UsageError("--payload contains the ARNs of both keys: leave out --s3-key-arn and --rds-key-arn.")
            return parse_payload(payload)
        given = {"s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
        return {name: arn.strip() for name, arn in expand_payload_fields(given).items() if arn is not None}
    except PayloadError as error:
        raise UsageError(str(error)) from error


def _confirm(name: str, confirm: str | None, *, final_snapshot: bool) -> None:
    if confirm is None:
        if not sys.stdin.isatty():
            raise UsageError(
                f"This deletes all of {name}'s resources. To confirm, repeat the environment's id: --confirm {name}."
            )
        snapshot = "A final snapshot of the database is kept." if final_snapshot else "No snapshot is kept."
        print_message(f"This deletes all of {name}'s resources. {snapshot}")
        confirm = typer.prompt("Type the environment's id to confirm", err=True)
    if confirm != name:
        raise UsageError(f"--confirm: {confirm!r} is not {name!r}; nothing was deleted.")


async def _replay(name: str, keys: dict[str, str], reason: str | None, *, wait: bool, as_json: bool) -> int:
    from byok.cli.follow import exit_code_for_status

    service = await connect_as_requester(reason)
    replayed = await service.replay(name, **keys)
    if replayed.step is not None:
        print_message(f'Resuming {name} at "{replayed.step.replace("_", " ")}"; completed steps are not repeated.')
    else:
        print_message("Starting over; existing resources are adopted.")
    return exit_code_for_status(await _show(name, wait=wait, as_json=as_json))


async def _replay_all(code: str, reason: str | None, *, dry_run: bool, as_json: bool) -> int:
    from dataclasses import asdict

    from byok.service.bulk_replay import replay_all

    service, outcomes = await connect_as_requester(reason), []
    async for outcome in replay_all(service, code, dry_run=dry_run):
        outcomes.append(outcome)
        if not as_json:
            print_text(f"{outcome.environment_id}  {_describe_outcome(outcome, dry_run=dry_run)}\n")
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
    elif not outcomes:
        print_message(f"No stopped environment has the problem code {code}.")
    return EXIT_FAILED if any(outcome.refusal for outcome in outcomes) else EXIT_OK


def _describe_outcome(outcome: "BulkReplayOutcome", *, dry_run: bool) -> str:
    if outcome.refusal is not None:
        return f"not replayed: {outcome.refusal}"
    if dry_run:
        return "would be replayed"
    if outcome.result is None or outcome.result.step is None:
        return "starts over; existing resources are adopted"
    return f'resumes at "{outcome.result.step.replace("_", " ")}"'


async def _cancel(name: str, reason: str | None, *, wait: bool, as_json: bool) -> None:

    service = await connect_as_requester(reason)
    await service.cancel(name)
    print_message(f"Cancellation of {name} requested.")
    await _show(name, wait=wait, as_json=as_json)


async def _delete(
    name: str, given: dict[str, Any], reason: str | None, *, final_snapshot: bool, wait: bool, as_json: bool
) -> int:
    from byok.cli.follow import exit_code_for_status

    service = await connect_as_requester(reason)
    request = await service.build_delete_request(name, final_snapshot=final_snapshot, **given)
    if not await service.delete(request):
        print_message(f"{name} is already being deleted.")
    return exit_code_for_status(await _show(name, wait=wait, as_json=as_json))


async def _show(name: str, *, wait: bool, as_json: bool) -> "EnvironmentStatus":
    from byok.cli.follow import follow
    from byok.cli.requests import as_json_dict
    from byok.service.connection import connect_service

    service = await connect_service()
    if wait:
        status = await follow(service, name, quiet=as_json)
    else:
        status = await service.read_status(name)
        print_message(f"Follow it with: byok status {name}")
    if as_json:
        print_json(as_json_dict(status))
    return status
