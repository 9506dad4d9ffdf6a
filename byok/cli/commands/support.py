"""`byok support-bundle`: saves diagnostic data about an environment, without secrets, to a file for support."""

from pathlib import Path
from typing import Annotated

import typer

from byok.cli.output import Output, OutputFormat, UsageError, exit_on_error, print_json, print_message, print_text


def support_bundle(
    name: Annotated[str, typer.Argument(help="The environment's id.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write. [default: byok-support-NAME-TIME.zip in this folder]")
    ] = None,
    mask_accounts: Annotated[
        bool, typer.Option("--mask-accounts", help="Replace AWS account ids with other numbers.")
    ] = False,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Save diagnostic data about an environment to a file for support.

    The zip file contains the environment's status and attempts, the decoded histories of its workflows, the result of
    byok doctor, and the versions and settings of this machine. Secrets are removed: secret settings, credentials,
    tokens and the headers of requests. The command lists the files in the bundle. Read these files before you send the
    bundle.

    Examples:
        byok support-bundle acme
        byok support-bundle acme --mask-accounts --out /tmp/acme.zip

    Exit codes: 0 written; 1 there is no such environment; 2 incorrect usage, or the file exists or cannot be written.
    """
    import asyncio
    from datetime import UTC, datetime

    with exit_on_error(as_json=output.is_json):
        from byok.settings import Settings
        from byok.support_bundle import collect_bundle, write_bundle

        path = out or Path(f"byok-support-{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.zip")
        files = asyncio.run(collect_bundle(name, Settings(), mask_accounts=mask_accounts))
        try:
            write_bundle(files, path, name)
        except OSError as error:
            raise UsageError(f"Cannot write {path}: {error.strerror}.") from error
        if output.is_json:
            print_json({"file": str(path), "contents": [{"name": one.name, "about": one.about} for one in files]})
        else:
            print_text("".join(f"{one.name:<50}  {one.about}\n" for one in files))
            print_message(f"Written: {path}. Secrets are removed, but read the files before you send the bundle.")
