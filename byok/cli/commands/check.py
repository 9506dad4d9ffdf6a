"""`byok check`: validates two keys without creating an environment."""

from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.commands.onboarding import Profile
from byok.cli.output import (
    EXIT_CUSTOMER_KEY,
    EXIT_NOT_PROVED,
    EXIT_OK,
    EXIT_USAGE,
    Explain,
    Output,
    OutputFormat,
    exit_on_error,
    make_console,
    print_json,
    print_message,
)
from byok.cli.requesters import Reason, connect_as_requester

if TYPE_CHECKING:
    from byok.domain.models import CheckKeysRequest, KeyCheckResult, Problem


def check(
    region: Annotated[str, typer.Option(help="The environment's AWS Region.")],
    s3_key_arn: Annotated[str | None, typer.Option(help="Full ARN of the customer's S3 key.")] = None,
    rds_key_arn: Annotated[str | None, typer.Option(help="Full ARN of the customer's Aurora key.")] = None,
    payload: Annotated[str | None, typer.Option(help="The onboarding payload, instead of the two ARNs.")] = None,
    key_grace_seconds: Annotated[
        int,
        typer.Option(min=0, max=300, help="How long to retry access-denied errors while a policy change propagates."),
    ] = 30,
    name: Annotated[
        str | None,
        typer.Option(
            help="The environment that will use the keys. The check accepts keys that this environment already uses, "
            "but refuses keys that another environment uses."
        ),
    ] = None,
    organisation: Annotated[
        str | None,
        typer.Option(
            help="The organisation that uses the keys. The account that owns the keys must be registered for this "
            "organisation."
        ),
    ] = None,
    aurora_proof: Annotated[
        bool, typer.Option("--aurora-proof/--no-aurora-proof", help="Verify the Aurora key by creating a cluster.")
    ] = True,
    profile: Profile = None,
    reason: Reason = None,
    _explain: Explain = False,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Check two keys without creating an environment.

    The verdict on each key is verified, cannot be used, or not verified. To verify the S3 key, byok writes and reads
    objects that S3 encrypts with the key. To verify the Aurora key, byok creates a cluster without instances, which
    RDS encrypts with the key. byok then removes the objects and the cluster. The removal of the cluster continues after
    the check ends. byok reuses the result for an Aurora key for ten minutes.

    Examples:
        byok check --region eu-central-1 --s3-key-arn "$S3_KEY_ARN" --rds-key-arn "$RDS_KEY_ARN"
        byok check --region eu-central-1 --payload "$PAYLOAD" --no-aurora-proof -o json

    Exit codes: 0 both keys are verified; 1 the check could not run; 2 incorrect usage, or a key ARN that can never
    work; 3 a key cannot be used; 4 at least one key is not verified.
    """
    with exit_on_error(as_json=output.is_json):
        code = _check(
            {
                "region": region,
                "s3_key_arn": s3_key_arn,
                "rds_key_arn": rds_key_arn,
                "payload": payload,
                "key_grace_seconds": key_grace_seconds,
                "profile": profile,
                "environment_id": name,
                "organisation": organisation,
                "prove_aurora_key": aurora_proof,
            },
            reason,
            as_json=output.is_json,
        )
    raise typer.Exit(code)


def _check(options: dict[str, object], reason: str | None, *, as_json: bool) -> int:
    import asyncio

    from byok.cli import views
    from byok.cli.requests import find_request_problems, request_from_options
    from byok.domain.arns import KeyPurpose
    from byok.domain.models import CheckKeysRequest
    from byok.service.errors import ServiceError
    from byok.settings import Settings

    request = request_from_options(CheckKeysRequest, options)
    impossible = find_request_problems(request, Settings())
    # If the ARN of only one key can never work, still check the other key, so that the customer can fix both keys at
    # the same time.
    if {finding.key for finding in impossible} >= set(KeyPurpose) or None in {finding.key for finding in impossible}:
        found = _build_refusal(request, impossible)
    else:
        try:
            found = asyncio.run(_run_check(request, reason))
        except ServiceError as error:
            if not impossible:
                raise
            found = _build_refusal(request, impossible, str(error))
    if as_json:
        print_json(check_as_json(found))
    else:
        make_console().print(views.render_key_check(found))
    return EXIT_USAGE if impossible else exit_code_for_check(found)


def check_as_json(found: "KeyCheckResult") -> "dict[str, object]":
    """Return the JSON object that `byok check -o json` prints."""
    from byok.cli.requests import as_json_dict

    problems = [as_json_dict(finding) for finding in found.findings]
    return {**as_json_dict(found), "problem": problems[0] if problems else None, "problems": problems}


def exit_code_for_check(found: "KeyCheckResult") -> int:
    """Return the exit code of `byok check` if both ARNs are valid."""
    if found.keys.any_refused:
        return EXIT_CUSTOMER_KEY
    return EXIT_OK if found.keys.all_proved else EXIT_NOT_PROVED


def _build_refusal(request: "CheckKeysRequest", findings: "tuple[Problem, ...]", reason: str = "") -> "KeyCheckResult":
    """Build the result of a check that did not run.

    A key without a finding gets the verdict "not verified", with `reason` as the explanation.
    """
    from byok.domain.arns import KeyPurpose
    from byok.domain.models import CheckedKey, CheckedKeys, KeyCheckResult

    by_key = {finding.key: finding for finding in reversed(findings)}
    verdicts = {
        which: CheckedKey.from_problem(which, arn, by_key.get(which) or by_key[None])
        if which in by_key or None in by_key
        else CheckedKey.not_proved(which, arn, reason)
        for which, arn in request.key_pair.items()
    }
    keys = CheckedKeys(s3=verdicts[KeyPurpose.S3], rds=verdicts[KeyPurpose.RDS])
    return KeyCheckResult(region=request.region, keys=keys, findings=findings)


async def _run_check(request: "CheckKeysRequest", reason: str | None) -> "KeyCheckResult":
    service = await connect_as_requester(reason)
    if not await service.list_workers():
        print_message("No worker is polling the task queue; waiting for one.")
    return await service.check_keys(request)
