"""`byok check`: validates two keys without creating an environment."""

from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.commands.onboarding import Profile
from byok.cli.output import (
    EXIT_CUSTOMER_KEY,
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    exit_on_error,
    make_console,
    print_json,
    print_message,
)

if TYPE_CHECKING:
    from byok.domain.models import CheckKeysRequest, KeyCheckResult


def check(
    region: Annotated[str, typer.Option(help="The environment's AWS Region.")],
    s3_key_arn: Annotated[str | None, typer.Option(help="Full ARN of the customer's S3 key.")] = None,
    rds_key_arn: Annotated[str | None, typer.Option(help="Full ARN of the customer's Aurora key.")] = None,
    payload: Annotated[str | None, typer.Option(help="The onboarding payload, instead of the two ARNs.")] = None,
    key_grace_seconds: Annotated[
        int,
        typer.Option(min=0, max=300, help="How long to retry access-denied errors while a policy change propagates."),
    ] = 30,
    profile: Profile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check two keys without creating an environment.

    To prove that S3 can use the S3 key, byok writes, reads and removes an object that S3 encrypts with this key. Only
    creating a cluster can prove that RDS can use the Aurora key.

    Exit codes: 0 no problem found; 1 the check could not run; 2 wrong usage or a key ARN that can never work; 3 a key
    cannot be used.
    """
    with exit_on_error(as_json=as_json):
        code = _check(
            {
                "region": region,
                "s3_key_arn": s3_key_arn,
                "rds_key_arn": rds_key_arn,
                "payload": payload,
                "key_grace_seconds": key_grace_seconds,
                "profile": profile,
            },
            as_json=as_json,
        )
    raise typer.Exit(code)


def _check(options: dict[str, object], *, as_json: bool) -> int:
    import asyncio

    from byok.cli import views
    from byok.cli.requests import as_json_dict, find_request_problems, request_from_options
    from byok.domain.models import CheckKeysRequest, KeyCheckResult
    from byok.settings import Settings

    request = request_from_options(CheckKeysRequest, options)
    impossible = find_request_problems(request, Settings())
    if impossible:
        found = KeyCheckResult(
            region=request.region,
            s3_key_arn=request.s3_key_arn,
            rds_key_arn=request.rds_key_arn,
            findings=impossible,
        )
    else:
        found = asyncio.run(_run_check(request))
    if as_json:
        problems = [as_json_dict(finding) for finding in found.findings]
        print_json({**as_json_dict(found), "problem": problems[0] if problems else None, "problems": problems})
    else:
        make_console().print(views.render_key_check(found))
    if impossible:
        return EXIT_USAGE
    if not found.findings:
        return EXIT_OK
    return EXIT_CUSTOMER_KEY if any(finding.key for finding in found.findings) else EXIT_FAILED


async def _run_check(request: "CheckKeysRequest") -> "KeyCheckResult":
    from byok.service.connection import connect_service

    service = await connect_service()
    if not await service.list_workers():
        print_message("No worker is polling the task queue; waiting for one.")
    return await service.check_keys(request)
