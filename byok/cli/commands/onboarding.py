"""`byok onboarding` and `byok template`: what a customer gets to make the two keys."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.output import UsageError, console, print_json, print_text, reported, say
from byok.cli.platform import PlatformRole, Region, known_region, platform_role

if TYPE_CHECKING:
    from byok.onboarding.kit import OnboardingKit


class TemplateKind(StrEnum):
    """The templates there are."""

    KEYS = "keys"
    TENANT_ROLE = "tenant-role"
    TERRAFORM = "terraform"


def onboarding(
    region: Region,
    platform_role_arn: PlatformRole = None,
    profile: Annotated[
        str | None, typer.Option(help="The customer's AWS CLI profile, in the commands. [default: byok]")
    ] = None,
    stack_name: Annotated[
        str | None, typer.Option(help="Name of the stack that holds the keys. [default: byok-kms-keys]")
    ] = None,
    external_id: Annotated[
        str | None, typer.Option(help="External id of the optional tenant role. [default: a new one]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Print what a customer needs to make the two keys: values, commands, policy statements.

    Nothing is asked of AWS or Temporal.

    Exit codes: 0 printed; 2 wrong usage.
    """
    with reported(as_json=as_json):
        from byok.domain.commands import PROFILE, STACK_NAME
        from byok.onboarding.kit import OnboardingKit
        from byok.settings import Settings

        settings = Settings()
        role = platform_role(platform_role_arn, settings, known_region(region))
        kit = OnboardingKit.of(
            role,
            region,
            settings.vendor,
            profile=profile or PROFILE,
            stack_name=stack_name or STACK_NAME,
            external_id=external_id,
        )
        if as_json:
            print_json(kit.as_json())
        else:
            _show(kit)


def template(
    kind: Annotated[TemplateKind, typer.Argument(help="Which template.")] = TemplateKind.KEYS,
    out: Annotated[
        Path | None, typer.Option(help="File or folder to write it to; without it, it goes to standard output.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="The environment's AWS Region; for Terraform alone.")] = None,
    platform_role_arn: PlatformRole = None,
) -> None:
    """Print the CloudFormation template of the two keys, or write it to a file.

    `tenant-role` is the optional role through which the platform puts a tenant's name on the keys; `terraform` makes
    the same keys as `keys` does, for one Region.

    Exit codes: 0 printed or written; 1 cannot be written; 2 wrong usage.
    """
    with reported():
        name, text = _template(kind, region, platform_role_arn)
        if out is None:
            print_text(text)
            return
        file = out / name if out.is_dir() else out
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}.") from error
        say(f"Written: {file}")


def _template(kind: TemplateKind, region: str | None, role: str | None) -> tuple[str, str]:
    from byok.domain.commands import TEMPLATE_FILE, TENANT_ROLE_FILE
    from byok.onboarding.template import keys_template
    from byok.onboarding.tenant_role import tenant_role_template
    from byok.onboarding.terraform import TERRAFORM_FILE, terraform_file
    from byok.settings import Settings

    settings = Settings()
    if kind is TemplateKind.KEYS:
        return TEMPLATE_FILE, keys_template(settings.vendor)
    if kind is TemplateKind.TENANT_ROLE:
        return TENANT_ROLE_FILE, tenant_role_template(settings.vendor)
    if region is None:
        raise UsageError("Missing: --region. A Terraform file is made for one Region.")
    place = known_region(region)
    return TERRAFORM_FILE, terraform_file(platform_role(role, settings, place), place, settings.vendor)


def _show(kit: "OnboardingKit") -> None:
    import json

    from byok.domain.arns import WhichKey
    from byok.domain.commands import TEMPLATE_FILE
    from byok.onboarding.kit import PREREQUISITES, WARNINGS

    out = console()

    def heading(text: str) -> None:
        out.print(f"\n{text}", style="bold", markup=False)

    def block(text: str) -> None:
        print_text("\n".join(f"  {line}".rstrip() for line in text.splitlines()) + "\n")

    heading("Before you begin")
    block("\n".join(f"- {line}" for line in PREREQUISITES))
    heading("Onboarding values")
    block(
        f"Platform role ARN    {kit.platform_role_arn}\n"
        f"Platform account     {kit.platform_account}\n"
        f"AWS Region           {kit.region}"
    )
    heading("A. With CloudFormation (recommended): one stack makes both keys")
    block(
        f"Get {TEMPLATE_FILE} with: byok template --out {TEMPLATE_FILE}\n"
        f"Change --profile {kit.commands.profile} to your own AWS CLI profile, and run:"
    )
    print_text(f"\n{kit.commands.deploy()}\n\n")
    block(f"When the stack is complete, this prints the {kit.vendor.payload_output}, which is what you give back:")
    print_text(f"\n{kit.commands.payload()}\n")
    heading("B. By hand: one key for S3 and one for Aurora, both symmetric, Encrypt and decrypt, in this Region")
    block("Append to the Statement array of each key's policy, and leave what is there as it is.")
    for which, name in ((WhichKey.S3, "S3 key"), (WhichKey.RDS, "Aurora key")):
        block(f"\n{name}:")
        print_text(",\n".join(json.dumps(statement, indent=2) for statement in kit.statements(which)) + "\n")
    block("\nOr make both keys with these commands (they run in AWS CloudShell without --profile):")
    print_text(f"\n{kit.commands.create_keys()}\n")
    heading("Keep in mind")
    block("\n".join(f"- {line}" for line in WARNINGS))
