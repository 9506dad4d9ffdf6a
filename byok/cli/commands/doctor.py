"""`byok doctor` and `byok diagnose`: report what is missing or wrong, and how to fix it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.output import (
    EXIT_CUSTOMER_KEY,
    EXIT_FAILED,
    EXIT_OK,
    Output,
    OutputFormat,
    UsageError,
    exit_on_error,
    make_console,
    print_json,
    print_text,
)
from byok.cli.platform import Organisation, PlatformRole, require_platform_role_arn, require_region

if TYPE_CHECKING:
    from byok.domain.iam.findings import Finding


def doctor(
    customer: Annotated[
        bool, typer.Option("--customer", help="Print the script for the key administrator instead of running checks.")
    ] = False,
    region: Annotated[str | None, typer.Option(help="With --customer: the environment's AWS Region.")] = None,
    platform_role_arn: PlatformRole = None,
    s3_key_arn: Annotated[str | None, typer.Option(help="With --customer: ARN of the S3 key, or the payload.")] = None,
    rds_key_arn: Annotated[str | None, typer.Option(help="With --customer: ARN of the Aurora key.")] = None,
    organisation: Organisation = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Check that everything byok needs is reachable.

    Checks Temporal, workers, AWS, the platform role and the blueprint.

    `byok doctor` checks the network and the credentials of the machine that it runs on. To check a worker's
    credentials, run `byok doctor` where the worker runs. With --customer, `byok doctor` runs no checks, but prints a
    script of plain AWS CLI commands for the key administrator. `byok diagnose` reads the script's output.

    Examples:
        byok doctor
        byok doctor --customer --region eu-central-1 --s3-key-arn "$S3_KEY_ARN" --rds-key-arn "$RDS_KEY_ARN" > keys.sh

    Exit codes: 0 every check passed; 1 a check failed; 2 incorrect usage.
    """
    with exit_on_error(as_json=output.is_json):
        if customer:
            _print_script(region, platform_role_arn, s3_key_arn, rds_key_arn, organisation)
            raise typer.Exit(EXIT_OK)
        code = _doctor(as_json=output.is_json)
    raise typer.Exit(code)


def diagnose(
    file: Annotated[Path, typer.Argument(help="The file that contains the script's output, or - for standard input.")],
    output: Output = OutputFormat.TEXT,
) -> None:
    """Explain the problems with two keys, the most likely causes first.

    Reads the output of the key administrator's script (`byok doctor --customer`).

    Calls neither AWS nor Temporal. Text before and after the script's output is ignored, and lines that a terminal has
    wrapped are joined.

    Examples:
        byok diagnose output.txt
        byok diagnose - < output.txt

    Exit codes: 0 no problem found; 2 the file cannot be used; 3 a problem prevents provisioning, or data is missing.
    """
    with exit_on_error(as_json=output.is_json):
        from byok.cli import views
        from byok.domain.diagnosis.diagnose import are_keys_usable

        findings = _diagnose_file(file)
        if output.is_json:
            print_json({"ok": are_keys_usable(findings), "findings": [finding.as_json_dict() for finding in findings]})
        else:
            make_console().print(views.render_diagnosis(findings))
    raise typer.Exit(EXIT_OK if are_keys_usable(findings) else EXIT_CUSTOMER_KEY)


def _print_script(
    region: str | None, role: str | None, s3_key_arn: str | None, rds_key_arn: str | None, organisation: str | None
) -> None:
    from byok.cli.requests import require_organisation
    from byok.domain.onboarding.payload import PayloadError, expand_payload_fields
    from byok.onboarding.collection_script import render_collection_script
    from byok.settings import Settings

    if region is None:
        raise UsageError("Missing: --region. The script is specific to the Region of the keys.")
    try:
        keys = expand_payload_fields({"s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn})
    except PayloadError as error:
        raise UsageError(str(error)) from error
    role = require_platform_role_arn(role, Settings(), require_region(region))
    owner = require_organisation(organisation)
    print_text(render_collection_script(role, region, keys["s3_key_arn"], keys["rds_key_arn"], owner))


def _diagnose_file(file: Path) -> "tuple[Finding, ...]":
    from datetime import UTC, datetime

    from byok.domain.diagnosis.diagnose import diagnose_collected_keys as diagnosed
    from byok.domain.diagnosis.key_facts import CollectedKeys, CollectedKeysError
    from byok.domain.iam.check.document import PolicyDocumentError, decode_text
    from byok.settings import Settings

    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        collection = CollectedKeys.parse(decode_text(content))
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}.") from error
    except (PolicyDocumentError, CollectedKeysError) as error:
        raise UsageError(f"{file}: {error}") from error
    return diagnosed(collection, Settings().vendor, datetime.now(UTC))


def _doctor(*, as_json: bool) -> int:
    import asyncio
    from dataclasses import asdict

    from rich.text import Text

    from byok.doctor import run_checks
    from byok.settings import Settings

    checks = asyncio.run(run_checks(Settings()))
    healthy = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": healthy, "checks": [asdict(check) for check in checks]})
        return EXIT_OK if healthy else EXIT_FAILED
    out = make_console()
    for check in checks:
        mark = Text("✓", "green") if check.ok else Text("✗", "red")
        out.print(Text.assemble(mark, f" {check.name:<18} ", check.detail))
        if check.fix:
            out.print(Text(f"{'':<21}→ {check.fix}", "bold"))
    return EXIT_OK if healthy else EXIT_FAILED
