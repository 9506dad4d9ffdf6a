r"""The AWS CLI commands that a customer runs, with the customer's values filled in (contract 25, 38-40, 49).

The commands are shell text that customers copy verbatim. A `\` at the end of a line continues the command.
"""

import json
import shlex
import textwrap
from dataclasses import dataclass
from typing import Final

from byok.domain.arns import KeyPair, KeyPurpose, partition_of_region
from byok.domain.customer_aws import DEFAULT_PROFILE, build_account_options, list_profile_options
from byok.domain.iam.statements import (
    StatementParameters,
    build_key_policy,
    build_key_statements,
    build_owner_statement,
)
from byok.domain.onboarding.payload import RDS_KEY_FIELD, S3_KEY_FIELD
from byok.domain.tenant import TenantLabels
from byok.domain.vendor import VendorProfile

KEYS_TEMPLATE_FILE: Final = "byok-kms-keys.yaml"
"""The template's exact file name (contract 24)."""

ORGANISATION_PARAMETER: Final = "Organisation"
"""The template's parameter for the organisation. The template has this parameter only if the vendor profile
turns on session tags."""

TENANT_ROLE_TEMPLATE_FILE: Final = "byok-tenant-role.yaml"
TENANT_ROLE_ARN_OUTPUT: Final = "TenantRoleArn"


@dataclass(frozen=True)
class CustomerCommands:
    """The commands for onboarding one customer.

    Attributes:
        platform_role_arn: The role to which the key policies grant access.
        region: The environment's Region.
        stack_name: Name of the stack that contains the keys.
        profile: The customer's AWS CLI profile; empty for commands without a profile.
        organisation: The organisation that owns the environment; None for the vendor.
    """

    platform_role_arn: str
    region: str
    vendor: VendorProfile
    stack_name: str
    profile: str = DEFAULT_PROFILE
    organisation: str | None = None

    def stack_parameters(self) -> dict[str, str]:
        """Return the template's parameters for the first deployment, in the order of the template."""
        parameters = {self.vendor.role_parameter_name: self.platform_role_arn, "PlatformRegion": self.region}
        tagged = self.vendor.organisation_session_tag
        return parameters | ({ORGANISATION_PARAMETER: self.organisation or ""} if tagged else {})

    def deploy_keys_command(self, tenant: str | None = None) -> str:
        """Return the command that creates both keys with CloudFormation (contract 38, 108).

        If `tenant` is given, the command also sets the tenant name on the keys.
        """
        parameters = self.stack_parameters() | ({} if tenant is None else {"TenantName": tenant})
        # An empty value stays unquoted, because a pair of quotes would look like a value that is still missing.
        overrides = [f"{name}={value and shlex.quote(value)}" for name, value in parameters.items()]
        return _join_lines(
            "aws cloudformation deploy",
            *list_profile_options(self.profile),
            f"--template-file {KEYS_TEMPLATE_FILE}",
            f"--stack-name {self._stack}",
            "--parameter-overrides",
            *(f"  {override}" for override in overrides),
            f"--region {self.region}",
        )

    def print_payload_command(self) -> str:
        """Return the command that prints the onboarding payload of the deployed stack (contract 49)."""
        output = f"OutputKey==\\`{self.vendor.payload_output_name}\\`"
        return _join_lines(
            "aws cloudformation describe-stacks",
            *list_profile_options(self.profile),
            f"--region {self.region}",
            f"--stack-name {self._stack}",
            f'--query "Stacks[0].Outputs[?{output}].OutputValue"',
            "--output text",
        )

    def create_keys_commands(self) -> str:
        """Return the script that creates both keys without CloudFormation and prints the payload (contract 51-60).

        Each policy consists of AWS's default statement, followed by byok's statements. CreateKey also sets the policy,
        so that no key ever exists without its policy. The first command that fails ends the script, so the payload is
        printed only if all commands succeed. Everything runs in one subshell, so that no variables remain in the key
        administrator's shell. The script specifies the AWS CLI profile in only one place.
        """
        account = 'aws sts get-caller-identity "$@" --query Account --output text'
        steps = [f"set -- {self._account_options}", f"ACCOUNT=$({account})"]
        for which, variable in _VARIABLES.items():
            description = f"{self.vendor.name} BYOK: {which.encrypted_data}"
            # The script reads the account id when it runs, so the shell variable must be outside the quotes.
            policy = shlex.quote(json.dumps(self._policy(which), indent=2)).replace(_ACCOUNT, "'\"$ACCOUNT\"'")
            steps += [
                f'{variable}=$(aws kms create-key "$@" --description {shlex.quote(description)} '
                f"--query KeyMetadata.Arn --output text --policy {policy})",
                f'echo "Created the {which.display_name}: ${variable}" >&2',
            ]
        steps += [f'aws kms enable-key-rotation "$@" --key-id "${variable}"' for variable in _VARIABLES.values()]
        payload = f'{{"{S3_KEY_FIELD}":"%s","{RDS_KEY_FIELD}":"%s"}}'
        arns = " ".join(f'"${variable}"' for variable in _VARIABLES.values())
        steps.append(f"printf '{payload}\\n' {arns}")
        return f"(\n{_JOINT.join(steps)}\n)"

    def name_key_commands(self, which: KeyPurpose, key_arn: str, tenant: str) -> str:
        """Return the commands that create the alias of a manually created key and then set the key's tags (D10).

        Raises:
            InvalidTenantNameError: The name is not valid.
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

    def name_keys_commands(self, keys: KeyPair, tenant: str, external_id: str | None) -> tuple[str, ...]:
        """Return the commands that set a tenant name on two keys, one group for each method.

        Each group of commands starts with a shell comment that explains when to use the group.

        The four methods are a CloudFormation stack, separate AWS CLI commands, Terraform, and a role that the platform
        assumes (D11). The comments contain no quotes and no brackets, because zsh treats comments pasted at its prompt
        as commands.

        Args:
            keys: The two keys.
            tenant: The tenant name.
            external_id: The external id that the platform passes when it assumes the role; None if it is not known.
                Without the external id, the commands for the role are omitted.

        Raises:
            InvalidTenantNameError: The name is not valid.
        """
        ways = [
            _comment(
                "If a CloudFormation stack created the keys, redeploy that stack, which is named "
                f"{self.stack_name} in this command."
            )
            + self.deploy_keys_command(tenant),
            _comment(
                "If the keys were created manually, run these commands. AlreadyExistsException means that an alias "
                "with that name already exists, on this key or on another key, and that the later commands did not "
                "run. To find out which key has the alias, run aws kms list-aliases."
            )
            + _JOINT.join(self.name_key_commands(which, arn, tenant) for which, arn in keys.items()),
            _comment(
                "If Terraform created the keys, run this command. Save the value, for example in terraform.tfvars. "
                "If the value is not saved, the next apply removes the name."
            )
            + f"terraform apply -var tenant_name={shlex.quote(tenant)}",
        ]
        if external_id is not None:
            ways.append(
                _comment(
                    "If the platform should name the keys itself, now and later, through a role that can do nothing "
                    f"else: save {TENANT_ROLE_TEMPLATE_FILE}, which the vendor sends you, and send back the ARN that "
                    "this prints. The vendor then retries with --tenant-role-arn"
                )
                + _JOINT.join(
                    [self.deploy_tenant_role_command(keys, external_id), self.print_tenant_role_arn_command()]
                )
            )
        return tuple(ways)

    def deploy_tenant_role_command(self, keys: KeyPair, external_id: str) -> str:
        """Return the command that creates the optional role for setting the tenant name on the keys (D11)."""
        return _join_lines(
            "aws cloudformation deploy",
            *list_profile_options(self.profile),
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
        """The name of the tenant role's stack.

        The name is derived from the key stack's name, because a customer with two environments has two key stacks and
        two tenant role stacks.
        """
        return f"{self.stack_name[:100]}-tenant-role"

    def print_tenant_role_arn_command(self) -> str:
        """Return the command that prints the tenant role's ARN, which the platform needs."""
        return _join_lines(
            "aws cloudformation describe-stacks",
            *list_profile_options(self.profile),
            f"--region {self.region}",
            f"--stack-name {self._role_stack}",
            f'--query "Stacks[0].Outputs[?OutputKey==\\`{TENANT_ROLE_ARN_OUTPUT}\\`].OutputValue"',
            "--output text",
        )

    def _policy(self, which: KeyPurpose) -> dict[str, object]:
        root = f"arn:{partition_of_region(self.region)}:iam::{_ACCOUNT}:root"
        ours = build_key_statements(
            which,
            StatementParameters.for_platform_role(self.platform_role_arn, self.region, self.organisation),
            self.vendor,
        )
        return build_key_policy(build_owner_statement(root), ours)

    @property
    def _account_options(self) -> str:
        return build_account_options(self.profile, self.region)

    @property
    def _stack(self) -> str:
        return shlex.quote(self.stack_name)


def build_put_policy_command(region: str, key_arn: str, file: str) -> str:
    """Build the command that attaches a policy from a file to an existing key."""
    return (
        f"aws kms put-key-policy --profile {DEFAULT_PROFILE} --region {region} --key-id {shlex.quote(key_arn)} "
        f"--policy-name default --policy file://{shlex.quote(file)}"
    )


_VARIABLES: Final = {KeyPurpose.S3: "S3_KEY_ARN", KeyPurpose.RDS: "RDS_KEY_ARN"}
_ACCOUNT: Final = "$ACCOUNT"
_JOINT: Final = " &&\n"
"""Joins two commands, so that the second command runs only if the first command succeeds."""


def _join_lines(*lines: str) -> str:
    return " \\\n  ".join(lines)


def _comment(text: str) -> str:
    lines = textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)
