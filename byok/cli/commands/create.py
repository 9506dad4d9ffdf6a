"""`byok create`: requests an environment."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.commands.onboarding import Profile
from byok.cli.commands.tenant import TenantRoleArn, require_role_arn
from byok.cli.output import (
    EXIT_USAGE,
    Explain,
    Output,
    OutputFormat,
    UsageError,
    exit_on_error,
    make_console,
    print_json,
    print_message,
)
from byok.cli.requesters import Reason, connect_as_requester
from byok.domain.phases import Encryption, OnFailure, Phase

if TYPE_CHECKING:
    from byok.domain.models import ProvisionRequest
    from byok.service.status import EnvironmentStatus


def create(
    name: Annotated[
        str | None,
        typer.Option(help="The environment's id: lower-case letters, digits, hyphens. [required without --file]"),
    ] = None,
    region: Annotated[str | None, typer.Option(help="The environment's AWS Region. [required without --file]")] = None,
    organisation: Annotated[
        str | None,
        typer.Option(help="The organisation that owns the environment. [default: the vendor owns it]"),
    ] = None,
    s3_key_arn: Annotated[
        str | None,
        typer.Option(help="Full ARN of the customer's S3 key. Pass both ARNs, --payload or --platform-managed."),
    ] = None,
    rds_key_arn: Annotated[str | None, typer.Option(help="Full ARN of the customer's Aurora key.")] = None,
    payload: Annotated[str | None, typer.Option(help="The onboarding payload, instead of the two ARNs.")] = None,
    platform_managed: Annotated[
        bool, typer.Option("--platform-managed", help="Use the platform's own keys instead of the customer's keys.")
    ] = False,
    on_failure: Annotated[
        OnFailure | None, typer.Option(help="Keep or remove the created resources after a stop. [default: keep]")
    ] = None,
    key_grace_seconds: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=300,
            help="How long to retry access-denied errors while a policy change propagates. [default: 30]",
        ),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="A JSON file with the workflow's input, instead of the options.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="The tenant name, if known; byok sets it on both keys at the end.")
    ] = None,
    tenant_role_arn: TenantRoleArn = None,
    profile: Profile = None,
    stack_name: Annotated[
        str | None,
        typer.Option(help="Name of the keys' CloudFormation stack. [default: byok-kms-keys-<name>]"),
    ] = None,
    reason: Reason = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the environment is ready or stopped, then show the outcome.")
    ] = False,
    _explain: Explain = False,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Provision an environment with the customer's two keys.

    Repeating a request never creates a second environment. If the environment is stopped, provisioning starts over and
    adopts the existing resources.

    Examples:
        byok create --name acme --region eu-central-1 --s3-key-arn "$S3_KEY_ARN" --rds-key-arn "$RDS_KEY_ARN" --wait
        byok create --name acme --region eu-central-1 --payload "$PAYLOAD" --on-failure rollback
        byok create --name initech --region eu-central-1 --platform-managed
        byok create --file examples/environment.json -o json

    Exit codes: 0 ready, or accepted without --wait; 1 failed; 2 nothing was started, because of incorrect usage or a
    key ARN that can never work; 3 stopped by a customer's key, or ready but the tenant alias points to another key.
    """
    import asyncio

    options: dict[str, object] = {
        "environment_id": name,
        "organisation": organisation,
        "region": region,
        "s3_key_arn": s3_key_arn,
        "rds_key_arn": rds_key_arn,
        "payload": payload,
        "encryption": Encryption.PLATFORM_MANAGED if platform_managed else None,
        "on_failure": on_failure,
        "key_grace_seconds": key_grace_seconds,
        "tenant": tenant,
        "profile": profile,
        "stack_name": stack_name,
    }
    with exit_on_error(as_json=output.is_json):
        options["tenant_role_arn"] = require_role_arn(tenant_role_arn)
        request = _request(file, options)
        _refuse_impossible_keys(request, as_json=output.is_json)
        code = asyncio.run(_create(request, reason, wait=wait, as_json=output.is_json))
    raise typer.Exit(code)


def _request(file: Path | None, options: dict[str, object]) -> "ProvisionRequest":
    from byok.cli.requests import OPTION_BY_FIELD, request_from_file, request_from_options
    from byok.domain.models import ProvisionRequest

    if file is None:
        return request_from_options(ProvisionRequest, options)
    both = [OPTION_BY_FIELD[option] for option, value in options.items() if value is not None]
    if both:
        raise UsageError(f"--file contains the whole request: leave out {', '.join(both)}.")
    return request_from_file(ProvisionRequest, file)


def _refuse_impossible_keys(request: "ProvisionRequest", *, as_json: bool) -> None:
    from byok.cli.remedy_views import render_problems
    from byok.cli.requests import find_request_problems, refusal_as_json_dict
    from byok.settings import Settings

    problems = find_request_problems(request, Settings())
    if not problems:
        return
    if as_json:
        print_json(refusal_as_json_dict(problems, environment_id=request.environment_id))
    err = make_console(stderr=True)
    err.print("error: Nothing was started, because this request can never succeed.", style="bold red")
    err.print(render_problems(problems))
    raise typer.Exit(EXIT_USAGE)


async def _create(request: "ProvisionRequest", reason: str | None, *, wait: bool, as_json: bool) -> int:
    from byok.cli.follow import exit_code_for_status, follow
    from byok.cli.requests import as_json_dict

    service = await connect_as_requester(reason)
    creation = await service.create(request)
    name = request.environment_id
    if not creation.started:
        print_message(f"Environment {name} was already requested with the same values.")
    if wait:
        status = await follow(service, name, quiet=as_json)
    else:
        status = await service.read_status(name)
        print_message(_describe_start(status))
        if not status.phase.is_final and not await service.list_workers():
            print_message("No worker is polling the task queue; provisioning begins when a worker starts.")
    if as_json:
        print_json(as_json_dict(status))
    return exit_code_for_status(status)


def _describe_start(status: "EnvironmentStatus") -> str:
    if status.phase is Phase.READY:
        return f"{status.environment_id} is {Phase.READY}. Show it with: byok status {status.environment_id}"
    return f"Accepted. Follow it with: byok status {status.environment_id}"
