"""Follow the setup guide exactly, with the real AWS CLI: keys, payload, environment, tenant name and diagnosis."""

import asyncio
import json
import os
import shlex
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from byok.domain.arns import KeyPair, KeyPurpose
from byok.domain.onboarding.customer_commands import CustomerCommands
from byok.domain.phases import Phase
from byok.onboarding.collection_script import render_collection_script
from byok.onboarding.template import render_keys_template
from byok.onboarding.tenant_role import render_tenant_role_template
from localaws.accounts import PLATFORM_ROLE_ARN
from tests.e2e.conftest import CommandResult, StackHarness
from tests.localaws.server import REGION, VENDOR

# The commands of the setup guide (steps 2 and 4), with the guide's placeholders.
DEPLOY = r"""
aws cloudformation deploy \
  --profile byok \
  --template-file byok-kms-keys.yaml \
  --stack-name <stack-name> \
  --parameter-overrides \
    AtaccamaPlatformRoleArn=<ataccama-platform-role-arn> \
    PlatformRegion=<region> \
  --region <region>
"""
PAYLOAD = r"""
aws cloudformation describe-stacks \
  --profile byok \
  --region <region> \
  --stack-name <stack-name> \
  --query "Stacks[0].Outputs[?OutputKey==\`AtaccamaOnboardingPayload\`].OutputValue" \
  --output text
"""
REDEPLOY = r"""
aws cloudformation deploy \
  --template-file byok-kms-keys.yaml \
  --stack-name <stack-name> \
  --parameter-overrides \
    AtaccamaPlatformRoleArn=<ataccama-platform-role-arn> \
    PlatformRegion=<region> \
    TenantName=<your-tenant-name> \
  --region <region>
"""


@dataclass(frozen=True)
class CustomerShell:
    """Runs the customer's commands in a folder, with the local AWS emulator's configuration files for the AWS CLI."""

    folder: Path
    cli: Path
    machine: StackHarness

    async def run(self, text: str, **more: str) -> CommandResult:
        """Run a command line in bash."""
        given = self.machine.stack.environment
        # The customer does not have the stack's environment variables, except for the paths of the AWS configuration
        # files.
        kept = {name: given[name] for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            text,
            cwd=self.folder,
            env={**clean, **kept, **more, "PATH": f"{self.cli.parent}:{os.environ['PATH']}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 120)
        return CommandResult(process.returncode or 0, out.decode(), err.decode())

    async def run_successfully(self, text: str, **more: str) -> str:
        """Run a command line, check that it succeeds, and return its standard output."""
        finished = await self.run(text, **more)
        assert finished.code == 0, finished.err
        return finished.out


@pytest.fixture
def shell(machine: StackHarness, aws_cli: Path, tmp_path: Path) -> CustomerShell:
    return CustomerShell(tmp_path, aws_cli, machine)


def fill_placeholders(command: str, stack: str, tenant: str = "") -> str:
    values = {
        "<stack-name>": stack,
        "<ataccama-platform-role-arn>": PLATFORM_ROLE_ARN,
        "<region>": REGION,
        "<your-tenant-name>": tenant,
    }
    for placeholder, value in values.items():
        command = command.replace(placeholder, value)
    return command


def split_command(command: str) -> list[str]:
    return shlex.split(command.replace("\\\n", " "))


def get_aliases_and_tags(machine: StackHarness, key_arn: str) -> tuple[list[str], dict[str, str]]:
    return machine.stack.customer.read_aliases_and_tags(key_arn)


def test_commands_match_the_guide_token_for_token() -> None:
    ours = CustomerCommands(PLATFORM_ROLE_ARN, REGION, VENDOR, stack_name="mine")
    assert split_command(ours.deploy_keys_command()) == split_command(fill_placeholders(DEPLOY, "mine"))  # contract 38
    assert split_command(ours.print_payload_command()) == split_command(
        fill_placeholders(PAYLOAD, "mine")
    )  # contract 49
    without_profile = [
        word for word in split_command(ours.deploy_keys_command("acme")) if word not in {"--profile", "byok"}
    ]
    assert without_profile == split_command(fill_placeholders(REDEPLOY, "mine", "acme"))  # contract 108, D5


async def test_guide_leads_from_the_template_to_a_named_environment(
    shell: CustomerShell, machine: StackHarness
) -> None:
    stack, tenant = f"keys-{uuid.uuid4().hex[:8]}", f"tenant-{uuid.uuid4().hex[:8]}"
    environment = f"g-{uuid.uuid4().hex[:10]}"
    (shell.folder / "byok-kms-keys.yaml").write_text(render_keys_template(VENDOR))

    await shell.run_successfully(fill_placeholders(DEPLOY, stack))
    payload = (await shell.run_successfully(fill_placeholders(PAYLOAD, stack))).rstrip("\n")

    keys = json.loads(payload)
    assert list(keys) == ["S3KmsKeyArn", "RdsKmsKeyArn"]  # contract 46-48
    created = await machine.run_program(
        "byok", "create", "--name", environment, "--region", REGION, "--payload", payload, "--wait", "-o", "json"
    )
    assert created.code == 0, created.err  # contract 50: the payload unchanged
    assert created.json["phase"] == Phase.READY  # contract 10
    assert get_aliases_and_tags(machine, keys["S3KmsKeyArn"]) == ([], {})  # contract 36

    await shell.run_successfully(fill_placeholders(REDEPLOY, stack, tenant), AWS_PROFILE="byok")

    assert (await shell.run_successfully(fill_placeholders(PAYLOAD, stack))).rstrip(
        "\n"
    ) == payload  # contract 109, 110
    named = dict.fromkeys(VENDOR.tenant_tags, tenant)
    for which, arn in zip(KeyPurpose, keys.values(), strict=True):
        assert get_aliases_and_tags(machine, arn) == (
            [VENDOR.alias_for_tenant(which, tenant)],
            named,
        )  # contract 101-104, 106
    ready = await machine.run_program("byok", "status", environment, "-o", "json")
    assert ready.json["phase"] == Phase.READY  # contract 107

    # With or without the optional tenant role, byok reports that the aliases and tags are already in place.
    (shell.folder / "byok-tenant-role.yaml").write_text(render_tenant_role_template(VENDOR))
    commands = CustomerCommands(PLATFORM_ROLE_ARN, REGION, VENDOR, stack_name=stack)
    external_id = await machine.service.get_external_id()
    await shell.run_successfully(
        commands.deploy_tenant_role_command(KeyPair(keys["S3KmsKeyArn"], keys["RdsKmsKeyArn"]), external_id)
    )
    found = await shell.run_successfully(commands.print_tenant_role_arn_command())
    role = ("--tenant-role-arn", found.strip())
    reconciled = await machine.run_program("byok", "tenant", environment, tenant, *role, "-o", "json")
    assert reconciled.code == 0, reconciled.err
    assert {key["alias_state"] for key in reconciled.json["keys"]} == {"in place"}
    assert [key["tags_written"] for key in reconciled.json["keys"]] == [[], []]


async def test_manually_created_keys_work_and_the_printed_commands_name_them(
    shell: CustomerShell, machine: StackHarness
) -> None:
    environment, tenant = f"h-{uuid.uuid4().hex[:10]}", f"tenant-{uuid.uuid4().hex[:8]}"
    commands = CustomerCommands(PLATFORM_ROLE_ARN, REGION, VENDOR, "unused")

    payload = (await shell.run_successfully(commands.create_keys_commands())).splitlines()[-1]

    created = await machine.run_program(
        "byok", "create", "--name", environment, "--region", REGION, "--payload", payload, "--wait", "-o", "json"
    )
    assert created.code == 0, created.err  # contract 51, 60
    handed = await machine.run_program("byok", "tenant", environment, tenant, "-o", "json")
    assert handed.code == 0, handed.err
    assert handed.json["keys"] == []  # D11
    await shell.run_successfully(handed.json["commands"][1])  # D10
    for which, arn in zip(KeyPurpose, json.loads(payload).values(), strict=True):
        aliases, tags = get_aliases_and_tags(machine, arn)
        assert aliases == [VENDOR.alias_for_tenant(which, tenant)]
        assert set(tags.values()) == {tenant}


async def test_collection_script_output_is_diagnosed(shell: CustomerShell, machine: StackHarness) -> None:
    pair = await asyncio.to_thread(machine.stack.customer.ensure_key_pair, f"diag-{uuid.uuid4().hex[:8]}")
    file = shell.folder / "keys.json"

    async def diagnose(s3_key_arn: str, rds_key_arn: str) -> tuple[int, list[dict[str, Any]]]:
        script = render_collection_script(PLATFORM_ROLE_ARN, REGION, s3_key_arn, rds_key_arn)
        file.write_text(await shell.run_successfully(script, AWS_PROFILE="byok"))
        finished = await machine.run_program("byok", "diagnose", str(file), "-o", "json")
        return finished.code, finished.json["findings"]

    await asyncio.to_thread(machine.stack.customer.disable_key, pair.rds_key_arn)
    code, findings = await diagnose(*pair.arns)
    assert (code, [(one["code"], one["key"]) for one in findings]) == (3, [("key.Disabled", "rds")])

    missing_key = pair.s3_key_arn[:-4] + "0000"
    code, findings = await diagnose(missing_key, 'alias/not "an\\arn')
    assert (code, [one["code"] for one in findings]) == (3, ["arn.Malformed", "key.NotFound"])
