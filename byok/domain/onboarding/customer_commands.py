r"""The commands a customer runs with the plain AWS CLI, with that customer's values filled in (contract 25, 38-40, 49).

They are shell text: what a person copies is what is here. `\` at the ends of lines joins them to one command.
"""

import json
import shlex
import textwrap
from dataclasses import dataclass
from typing import Final

from byok.domain.arns import KeyPair, KeyPurpose, partition_of_region
from byok.domain.iam.statements import (
    StatementParameters,
    build_key_policy,
    build_key_statements,
    build_owner_statement,
)
from byok.domain.onboarding.payload import RDS_KEY_FIELD, S3_KEY_FIELD
from byok.domain.tenant import TenantLabels, derive_external_id
from byok.domain.vendor import VendorProfile

KEYS_TEMPLATE_FILE: Final = "byok-kms-keys.yaml"
"""The template's file, exactly so (contract 24)."""

DEFAULT_STACK_NAME: Final = "byok-kms-keys"
"""The stack's name in our commands; any other legal one works (contract 41)."""

TENANT_ROLE_TEMPLATE_FILE: Final = "byok-tenant-role.yaml"
TENANT_ROLE_ARN_OUTPUT: Final = "TenantRoleArn"

STACK_NAME_PATTERN: Final = r"^[a-zA-Z][-a-zA-Z0-9]{0,127}\Z"
"""Source: CloudFormation, CreateStack, StackName."""

DEFAULT_PROFILE: Final = "byok"
"""Stands for the customer's own AWS CLI profile (contract 40)."""


@dataclass(frozen=True)
class CustomerCommands:
    """The commands of one onboarding.

    Attributes:
        platform_role_arn: The role that the key policies name.
        region: The environment's Region.
        profile: The customer's AWS CLI profile.
        stack_name: Of the stack that holds the keys.
    """

    platform_role_arn: str
    region: str
    vendor: VendorProfile
    profile: str = DEFAULT_PROFILE
    stack_name: str = DEFAULT_STACK_NAME

    def deploy_keys_command(self, tenant: str | None = None) -> str:
        """Make both keys with CloudFormation; with a tenant, give them its name (contract 38, 108)."""
        overrides = [
            f"{self.vendor.role_parameter_name}={shlex.quote(self.platform_role_arn)}",
            f"PlatformRegion={self.region}",
        ]
        if tenant is not None:
            overrides.append(f"TenantName={shlex.quote(tenant)}")
        return _join_lines(
            "aws cloudformation deploy",
            f"--profile {self._profile}",
            f"--template-file {KEYS_TEMPLATE_FILE}",
            f"--stack-name {self._stack}",
            "--parameter-overrides",
            *(f"  {override}" for override in overrides),
            f"--region {self.region}",
        )

    def print_payload_command(self) -> str:
        """Print the onboarding payload of the deployed stack (contract 49)."""
        output = f"OutputKey==\\`{self.vendor.payload_output_name}\\`"
        return _join_lines(
            "aws cloudformation describe-stacks",
            f"--profile {self._profile}",
            f"--region {self.region}",
            f"--stack-name {self._stack}",
            f'--query "Stacks[0].Outputs[?{output}].OutputValue"',
            "--output text",
        )

    def create_keys_commands(self) -> str:
        """Make both keys without CloudFormation, and print the payload (contract 51-60).

        AWS's own statement stays in the policies; ours is appended to it. Each key is made with its policy, so that
        none is there without it; the first step that fails ends it, and the payload is printed only if none has failed.
        All of it is one command in a shell of its own, with the profile in one place: nothing stays behind in the
        owner's shell.
        """
        account = 'aws sts get-caller-identity "$@" --query Account --output text'
        steps = [f"set -- {self._account_options}", f"ACCOUNT=$({account})"]
        for which, variable in _VARIABLES.items():
            description = f"{self.vendor.name} BYOK: {which.encrypted_data}"
            # The one value in it that is known only there stands outside the quotes.
            policy = shlex.quote(json.dumps(self._policy(which), indent=2)).replace(_ACCOUNT, "'\"$ACCOUNT\"'")
            steps += [
                f'{variable}=$(aws kms create-key "$@" --description {shlex.quote(description)} '
                f"--query KeyMetadata.Arn --output text --policy {policy})",
                f'echo "The {which.display_name} is there: ${variable}" >&2',
            ]
        steps += [f'aws kms enable-key-rotation "$@" --key-id "${variable}"' for variable in _VARIABLES.values()]
        payload = f'{{"{S3_KEY_FIELD}":"%s","{RDS_KEY_FIELD}":"%s"}}'
        arns = " ".join(f'"${variable}"' for variable in _VARIABLES.values())
        steps.append(f"printf '{payload}\\n' {arns}")
        return f"(\n{_JOINT.join(steps)}\n)"

    def put_policy_command(self, key_arn: str, file: str) -> str:
        """Put a policy from a file on a key that is there."""
        return (
            f"aws kms put-key-policy {self._account_options} --key-id {shlex.quote(key_arn)} --policy-name default "
            f"--policy file://{shlex.quote(file)}"
        )

    def name_key_commands(self, which: KeyPurpose, key_arn: str, tenant: str) -> str:
        """Give a hand-made key its alias, and where that is done, its tags (D10).

        Raises:
            TenantNameError: The name cannot be put on a key.
        """
        marks = TenantLabels.for_key(which, tenant, self.vendor)
        tags = " ".join(shlex.quote(f"TagKey={key},TagValue={value}") for key, value in marks.tags.items())
        key = shlex.quote(key_arn)
        return _JOINT.join(
            [
                f"aws kms create-alias {self._account_options} --alias-name {marks.alias} --target-key-id {key}",
                f"aws kms tag-resource {self._account_options} --key-id {key} --tags {tags}",
            ]
        )

    def name_keys_commands(self, keys: KeyPair, tenant: str) -> tuple[str, ...]:
        """Every way to give two keys a tenant's name, each with a comment that says when it is the right one.

        By a stack, by hand, by Terraform, and by the platform through a role (D11). In the comments are no quotes and
        no brackets: zsh takes comments at its prompt for commands.

        Raises:
            TenantNameError: The name cannot be put on a key.
        """
        external_id = derive_external_id(keys)
        return (
            _comment(f"If a CloudFormation stack made the keys, here called {self.stack_name}: deploy it again.")
            + self.deploy_keys_command(tenant),
            _comment(
                "If the keys were made by hand. AlreadyExistsException means that an alias of that name is there, on "
                "this key or on another one, and nothing after it is done: aws kms list-aliases shows where it points."
            )
            + _JOINT.join(self.name_key_commands(which, arn, tenant) for which, arn in keys.items()),
            _comment(
                "If Terraform made the keys. Keep the value, in terraform.tfvars for example: without it, the next "
                "apply takes the name off again."
            )
            + f"terraform apply -var tenant_name={shlex.quote(tenant)}",
            _comment(
                "If the platform is to name the keys itself, now and later, through a role that can do nothing else: "
                f"save {TENANT_ROLE_TEMPLATE_FILE}, which the vendor sends, and give back the ARN that this prints. "
                f"The vendor then asks again, with --tenant-role-arn and --external-id {external_id}"
            )
            + _JOINT.join([self.deploy_tenant_role_command(keys, external_id), self.print_tenant_role_arn_command()]),
        )

    def deploy_tenant_role_command(self, keys: KeyPair, external_id: str) -> str:
        """Make the optional role through which the platform puts a tenant's name on the keys (D11)."""
        return _join_lines(
            "aws cloudformation deploy",
            f"--profile {self._profile}",
            f"--template-file {TENANT_ROLE_TEMPLATE_FILE}",
            f"--stack-name {self._role_stack}",
            "--parameter-overrides",
            f"  {self.vendor.role_parameter_name}={shlex.quote(self.platform_role_arn)}",
            f"  {S3_KEY_FIELD}={shlex.quote(keys.s3_key_arn)}",
            f"  {RDS_KEY_FIELD}={shlex.quote(keys.rds_key_arn)}",
            f"  ExternalId={shlex.quote(external_id)}",
            "--capabilities CAPABILITY_IAM",
            f"--region {self.region}",
        )

    @property
    def _role_stack(self) -> str:
        """Beside the keys' own stack: whoever has two environments has two of each."""
        return f"{self.stack_name[:100]}-tenant-role"

    def print_tenant_role_arn_command(self) -> str:
        """Print the ARN of that role, which the platform needs."""
        return _join_lines(
            "aws cloudformation describe-stacks",
            f"--profile {self._profile}",
            f"--region {self.region}",
            f"--stack-name {self._role_stack}",
            f'--query "Stacks[0].Outputs[?OutputKey==\\`{TENANT_ROLE_ARN_OUTPUT}\\`].OutputValue"',
            "--output text",
        )

    def _policy(self, which: KeyPurpose) -> dict[str, object]:
        root = f"arn:{partition_of_region(self.region)}:iam::{_ACCOUNT}:root"
        ours = build_key_statements(
            which, StatementParameters.for_platform_role(self.platform_role_arn, self.region), self.vendor
        )
        return build_key_policy(build_owner_statement(root), ours)

    @property
    def _account_options(self) -> str:
        return f"--profile {self._profile} --region {self.region}"

    @property
    def _profile(self) -> str:
        return shlex.quote(self.profile)

    @property
    def _stack(self) -> str:
        return shlex.quote(self.stack_name)


_VARIABLES: Final = {KeyPurpose.S3: "S3_KEY_ARN", KeyPurpose.RDS: "RDS_KEY_ARN"}
_ACCOUNT: Final = "$ACCOUNT"
_JOINT: Final = " &&\n"
"""Between two commands, the second of which is run only if the first has succeeded."""


def _join_lines(*lines: str) -> str:
    return " \\\n  ".join(lines)


def _comment(text: str) -> str:
    lines = textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)
