"""`byok onboarding` and `byok template`: print what a customer needs to create the two keys."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.output import (
    Output,
    OutputFormat,
    UsageError,
    exit_on_error,
    make_console,
    print_json,
    print_message,
    print_text,
)
from byok.cli.platform import Organisation, PlatformRole, Region, require_platform_role_arn, require_region
from byok.onboarding.template_kinds import TemplateKind

if TYPE_CHECKING:
    from byok.domain.arns import KeyPair
    from byok.onboarding.kit import OnboardingKit


Profile = Annotated[
    str | None, typer.Option(help="The customer's AWS CLI profile for the commands; empty for none. [default: byok]")
]


def onboarding(
    region: Region,
    platform_role_arn: PlatformRole = None,
    profile: Profile = None,
    environment: Annotated[
        str | None, typer.Option(help="The id that the environment will have. byok names the key stack after this id.")
    ] = None,
    stack_name: Annotated[
        str | None,
        typer.Option(help="Name of the keys' CloudFormation stack. [default: byok-kms-keys-<environment>]"),
    ] = None,
    payload: Annotated[
        str | None,
        typer.Option(
            help="The onboarding payload, if you already have it; byok then also prints the commands for the optional "
            "tenant role."
        ),
    ] = None,
    s3_key_arn: Annotated[str | None, typer.Option(help="ARN of the S3 key, instead of the payload.")] = None,
    rds_key_arn: Annotated[str | None, typer.Option(help="ARN of the Aurora key, instead of the payload.")] = None,
    organisation: Organisation = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Print what a customer needs to create the two keys.

    If you pass the keys, byok also prints the commands that let the platform set the tenant name on the keys. These
    commands contain the organisation's external id, so a worker must be running. If you do not pass the keys, byok
    calls neither AWS nor Temporal.

    Examples:
        byok onboarding --region eu-central-1 --environment acme
        byok onboarding --region eu-central-1 --environment acme --payload "$PAYLOAD"

    Exit codes: 0 printed; 1 the external id cannot be read; 2 incorrect usage.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        from byok.cli.requests import require_organisation
        from byok.domain.customer_aws import DEFAULT_PROFILE, default_stack_name
        from byok.onboarding.kit import OnboardingKit
        from byok.settings import Settings

        settings = Settings()
        require_organisation(organisation)
        role = require_platform_role_arn(platform_role_arn, settings, require_region(region))
        if stack_name is None:
            if environment is None:
                raise UsageError(
                    "Pass --environment with the id that the environment will have, or --stack-name: each environment "
                    "needs its own key stack."
                )
            stack_name = default_stack_name(environment)
        try:
            kit = OnboardingKit.for_region(
                role,
                region,
                settings.vendor,
                profile=DEFAULT_PROFILE if profile is None else profile,
                stack_name=stack_name,
                keys=_keys(payload, s3_key_arn, rds_key_arn),
                organisation=organisation,
                template_url=settings.api.template_url,
            )
        except ValueError as error:
            raise UsageError(str(error)) from error
        if kit.keys is not None:
            kit = replace(kit, external_id=asyncio.run(_get_external_id(organisation)))
        if output.is_json:
            print_json(kit.as_json_dict())
        else:
            _show(kit)


async def _get_external_id(organisation: str | None) -> str:
    from byok.service.connection import connect_service

    return await (await connect_service()).get_external_id(organisation)


def _keys(payload: str | None, s3_key_arn: str | None, rds_key_arn: str | None) -> "KeyPair | None":
    from byok.cli.requests import expand_payload
    from byok.domain.arns import KeyPair

    given = {"payload": payload, "s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
    keys = expand_payload({name: value for name, value in given.items() if value is not None})
    if len(keys) == 1:
        raise UsageError("--s3-key-arn and --rds-key-arn belong together: pass both, or the payload.")
    return KeyPair(str(keys["s3_key_arn"]), str(keys["rds_key_arn"])) if keys else None


def template(
    kind: Annotated[TemplateKind, typer.Argument(help="Which template.")] = TemplateKind.KEYS,
    out: Annotated[
        Path | None,
        typer.Option(help="File or folder to write to; - is standard output. [default: standard output]"),
    ] = None,
    region: Annotated[str | None, typer.Option(help="The environment's AWS Region; only for terraform.")] = None,
    platform_role_arn: PlatformRole = None,
    organisation: Organisation = None,
) -> None:
    """Print the CloudFormation template for the two keys.

    `tenant-role` prints the template for the optional role through which the platform sets a tenant name on the keys.
    `terraform` prints a Terraform file that creates the same keys in one Region.

    If the output file exists, byok replaces it. A message says whether the contents changed.

    Examples:
        byok template --out keys.yaml
        byok template tenant-role --out tenant-role.yaml
        byok template terraform --region eu-central-1

    Exit codes: 0 printed or written; 2 incorrect usage, or the file cannot be written.
    """
    with exit_on_error():
        name, text = _template(kind, region, platform_role_arn, organisation)
        if out is None or str(out) == "-":
            print_text(text)
            return
        file = out / name if out.is_dir() else out
        try:
            before = file.read_bytes() if file.exists() else None
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"Cannot write {file}: {error.strerror}.") from error
        print_message(f"{'Replaced' if before not in {None, text.encode()} else 'Written'}: {file}")


def _template(kind: TemplateKind, region: str | None, role: str | None, organisation: str | None) -> tuple[str, str]:
    from byok.cli.requests import require_organisation
    from byok.onboarding.downloads import build_template
    from byok.settings import Settings

    settings = Settings()
    if kind is not TemplateKind.TERRAFORM:
        file = build_template(kind, "", "", settings.vendor)
    elif region is None:
        raise UsageError("Missing: --region. The Terraform file is specific to one Region.")
    else:
        place = require_region(region)
        arn = require_platform_role_arn(role, settings, place)
        file = build_template(kind, arn, place, settings.vendor, require_organisation(organisation))
    return file.name, file.text


def _show(kit: "OnboardingKit") -> None:
    import json
    import textwrap

    from byok.domain.arns import KeyPurpose
    from byok.domain.onboarding.customer_commands import KEYS_TEMPLATE_FILE
    from byok.onboarding.kit import PREREQUISITES, WARNINGS

    out = make_console()

    def heading(text: str) -> None:
        out.print(f"\n{text}", style="bold", markup=False)

    def block(text: str) -> None:
        print_text("\n".join(f"  {line}".rstrip() for line in text.splitlines()) + "\n")

    def prose(text: str) -> None:
        block("\n".join(textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False)))

    heading("Before you begin")
    block("\n".join(f"- {line}" for line in PREREQUISITES))
    heading("Onboarding values")
    block(
        f"Platform role ARN    {kit.platform_role_arn}\n"
        f"Platform account     {kit.platform_account}\n"
        f"AWS Region           {kit.region}"
        + (f"\nOrganisation         {kit.organisation}" if kit.organisation else "")
    )
    heading("A. With CloudFormation (recommended): one stack creates both keys")
    profile = kit.commands.profile
    replace_profile = (
        f" After --profile, replace {profile} with the name of your own AWS CLI profile." if profile else ""
    )
    prose(
        f"Save the file {KEYS_TEMPLATE_FILE} that came with these instructions. Run this command in the same folder."
        f"{replace_profile}"
    )
    print_text(f"\n{kit.commands.deploy_keys_command()}\n\n")
    if kit.launch_stack_url is not None:
        prose("Or open this address in a browser, check the values, and choose Create stack:")
        print_text(f"\n{kit.launch_stack_url}\n\n")
    prose(
        f"When the stack is complete, this command prints the {kit.vendor.payload_output_name}. "
        "Send this value back to us:"
    )
    print_text(f"\n{kit.commands.print_payload_command()}\n")
    heading("B. Manually: create two symmetric Encrypt and decrypt keys in this Region, one for S3 and one for Aurora")
    prose(
        "The statements for each key are listed below. Append them to the Statement array of the key's policy. "
        "Do not change the existing statements."
    )
    for which in KeyPurpose:
        block(f"\n{which.display_name}:")
        print_text(",\n".join(json.dumps(statement, indent=2) for statement in kit.statements_for_key(which)) + "\n")
    print_text("\n")
    leave_out = " The first line sets the profile; in AWS CloudShell, leave out --profile and the profile name."
    prose(
        f"Or create both keys with these commands, which print the payload to send back.{leave_out if profile else ''}"
    )
    print_text(f"\n{kit.commands.create_keys_commands()}\n")
    heading("Afterwards (optional): the tenant name on both keys")
    prose(
        "Once the environment is ready, you receive its tenant name and the commands that set the name on both keys, "
        "as aliases and tags. If you created the keys with the stack, deploy the stack again with the parameter "
        "TenantName, which does not change the keys themselves. The environment also works without the name."
    )
    heading("Optional: let the platform set the name on the keys")
    _show_tenant_role(kit, prose)
    heading("Keep in mind")
    block("\n".join(f"- {line}" for line in WARNINGS))
    print_message(f"For the sender: create the template file with: byok template --out {KEYS_TEMPLATE_FILE}")


def _show_tenant_role(kit: "OnboardingKit", prose: Callable[[str], None]) -> None:
    from byok.domain.onboarding.customer_commands import TENANT_ROLE_TEMPLATE_FILE

    prose(
        "The platform can set the tenant name on the keys itself if you create a role for this purpose in your "
        "account. The role allows no other actions, and it applies only to these two keys. The role is optional: the "
        "environment works without it."
    )
    commands = kit.tenant_role_commands()
    if commands is None:
        prose(
            "The command that creates the role contains the ARNs of both keys, so you receive the command after you "
            "have sent the ARNs back."
        )
        print_message(
            "For the sender: to print this command, repeat `byok onboarding` with --payload, or run `byok tenant`."
        )
        return
    deploy, role_arn = commands
    prose(
        f"The external id is {kit.external_id}. Save the file {TENANT_ROLE_TEMPLATE_FILE} that came with these "
        "instructions, and run this command in the same folder. CAPABILITY_IAM acknowledges that the stack "
        "creates a role:"
    )
    print_text(f"\n{deploy}\n\n")
    prose("This command prints the role's ARN. Send the ARN back to us:")
    print_text(f"\n{role_arn}\n")
    print_message(
        f"For the sender: create the file with `byok template tenant-role --out {TENANT_ROLE_TEMPLATE_FILE}`. Pass the "
        "role's ARN to `byok tenant` as --tenant-role-arn."
    )
