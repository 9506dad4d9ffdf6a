"""`byok policy`: prints the platform's statements, and checks or completes a key policy.

The commands make no AWS calls.
"""

import codecs
import sys
from pathlib import Path
from typing import Annotated

import typer

from byok.cli.command_line import CommandLine
from byok.cli.output import (
    EXIT_CUSTOMER_KEY,
    EXIT_OK,
    Output,
    OutputFormat,
    UsageError,
    exit_on_error,
    make_console,
    print_json,
    print_message,
    print_text,
)
from byok.cli.platform import (
    KeyName,
    Organisation,
    PlatformRole,
    Region,
    parse_key_purpose,
    require_platform_role_arn,
    require_region,
)

policy = CommandLine("policy", help="Render, check or complete a key policy.")
File = Annotated[
    Path,
    typer.Argument(
        help="The key policy, or the output of `aws kms get-key-policy` as JSON, YAML or text; - reads standard input."
    ),
]
KeyArnOption = Annotated[
    str | None,
    typer.Option("--key-arn", help="The key's ARN, which is compared with the keys and accounts in the policy."),
]


@policy.command()
def render(
    key: KeyName, region: Region, platform_role_arn: PlatformRole = None, organisation: Organisation = None
) -> None:
    """Print the platform's statements for a key policy, as JSON.

    Examples:
        byok policy render aurora --region eu-central-1

    Exit codes: 0 printed; 2 incorrect usage.
    """
    with exit_on_error():
        import json

        from byok.cli.requests import require_organisation
        from byok.domain.iam.statements import StatementParameters, build_key_statements
        from byok.settings import Settings

        settings, which = Settings(), parse_key_purpose(key)
        role = require_platform_role_arn(platform_role_arn, settings, require_region(region))
        grantee = StatementParameters.for_platform_role(role, region, require_organisation(organisation))
        statements = build_key_statements(which, grantee, settings.vendor)
        print_text(",\n".join(json.dumps(statement, indent=2) for statement in statements) + "\n")


@policy.command()
def check(
    key: KeyName,
    file: File,
    region: Region,
    platform_role_arn: PlatformRole = None,
    key_arn: KeyArnOption = None,
    organisation: Organisation = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Check a key policy, permission by permission.

    For each permission that the platform needs, byok reports whether the policy grants the permission and, if not, what
    to change.

    The check needs no credentials and makes no AWS calls, because byok itself evaluates the policy, by the same rules
    as AWS.

    Examples:
        byok policy check aurora examples/aurora-key-policy.json --region eu-central-1
        aws kms get-key-policy --key-id "$S3_KEY_ARN" | byok policy check s3 - --region eu-central-1

    Exit codes: 0 the policy lets the platform use the key; 2 incorrect usage, or the file is not a policy; 3 the policy
    does not let the platform use the key, or the result depends on facts that only AWS knows.
    """
    with exit_on_error(as_json=output.is_json):
        from datetime import UTC, datetime

        from byok.cli import views
        from byok.cli.requests import require_organisation
        from byok.domain.iam.check.calls import PlatformPrincipal
        from byok.domain.iam.check.document import PolicyDocumentError
        from byok.domain.iam.check.report import parse_and_check_policy
        from byok.settings import Settings

        settings, which = Settings(), parse_key_purpose(key)
        role = require_platform_role_arn(platform_role_arn, settings, require_region(region))
        content = _content(file)
        try:
            side = PlatformPrincipal(
                role,
                region,
                _require_key_of_region(key_arn, region),
                datetime.now(UTC),
                require_organisation(organisation),
            )
            report = parse_and_check_policy(content, which, side, settings.vendor)
        except PolicyDocumentError as error:
            raise UsageError(f"{file} is not a key policy. {error}") from error
        if output.is_json:
            print_json(report.as_json_dict())
        else:
            make_console().print(views.render_policy_report(report))
    raise typer.Exit(EXIT_OK if report.is_usable else EXIT_CUSTOMER_KEY)


@policy.command()
def merge(
    key: KeyName,
    file: File,
    region: Region,
    platform_role_arn: PlatformRole = None,
    key_arn: KeyArnOption = None,
    organisation: Organisation = None,
    out: Annotated[Path | None, typer.Option(help="File to write the policy to. [default: standard output]")] = None,
) -> None:
    """Add the platform's statements to a key policy.

    The rest of the policy stays unchanged, byte for byte.

    An outdated platform statement is replaced, unless the replacement would discard one of the customer's own changes.
    Line endings and a byte order mark are kept; UTF-16 becomes UTF-8. byok does not change the key: the key
    administrator applies the new policy to the key with `aws kms put-key-policy`. With --key-arn and --out, byok prints
    the full command.

    Examples:
        byok policy merge s3 policy.json --region eu-central-1 --key-arn "$S3_KEY_ARN" --out new-policy.json

    Exit codes: 0 done, or there was nothing to do; 2 incorrect usage, or the policy cannot be completed.
    """
    with exit_on_error():
        from byok.cli.requests import require_organisation
        from byok.domain.iam.check.document import PolicyDocumentError
        from byok.domain.iam.merge import PolicyMergeError, merge_policy_file
        from byok.settings import Settings

        settings, which = Settings(), parse_key_purpose(key)
        role = require_platform_role_arn(platform_role_arn, settings, require_region(region))
        try:
            known = _require_key_of_region(key_arn, region)
            owner = require_organisation(organisation)
            merged = merge_policy_file(
                _content(file), which, role, region, settings.vendor, key_arn=known, organisation=owner
            )
        except (PolicyDocumentError, PolicyMergeError) as error:
            raise UsageError(f"{file}: {error}") from error
        if out is None or str(out) == "-":
            # Write bytes, because the policy may contain characters that the terminal's encoding lacks.
            end = b"\n" if sys.stdout.isatty() and not merged.content.endswith(b"\n") else b""
            sys.stdout.buffer.write(merged.content + end)
        else:
            try:
                out.write_bytes(merged.content)
            except OSError as error:
                raise UsageError(f"Cannot write {out}: {error.strerror}.") from error
        for words, sids in (("Appended", merged.added), ("Replaced", merged.replaced)):
            if sids:
                print_message(f"{words}: {', '.join(sids)}")
        if merged.dropped:
            print_message(
                f"The replaced statements had other conditions, which were removed: {', '.join(merged.dropped)}"
            )
        if merged.content.startswith(codecs.BOM_UTF8):
            print_message(
                "The file begins with a byte order mark, which is kept. If KMS rejects the policy, remove the mark."
            )
        if not merged.changed:
            print_message("Nothing to do: the policy already contains the statements.")
        elif known is not None and out is not None and str(out) != "-":
            from byok.domain.onboarding.customer_commands import build_put_policy_command

            put = build_put_policy_command(region, known, str(out))
            print_message(f"The key administrator applies the policy to the key with: {put}")


def _require_key_of_region(key_arn: str | None, region: str) -> str | None:
    """Return the ARN if it is the ARN of a key in this Region; None if no ARN is given.

    Raises:
        UsageError: The value is not a key ARN, or the key is in another Region.
    """
    from byok.domain.arns import InvalidKeyArnError, parse_key_arn

    if key_arn is None:
        return None
    try:
        key = parse_key_arn(key_arn.strip())
    except InvalidKeyArnError as error:
        raise UsageError(f"--key-arn: {error}") from error
    if key.region != region:
        raise UsageError(f"--key-arn: {key} is in {key.region}, but the environment is in {region}.")
    return str(key)


def _content(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read {file}: {error.strerror}.") from error
