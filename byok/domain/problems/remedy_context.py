"""The values that `byok.domain.problems.remediation` inserts into the texts of a remedy."""

import shlex
from dataclasses import dataclass, replace
from typing import Final

from byok.domain.arns import InvalidKeyArnError, KeyArn, KeyPurpose, account_id_of_role, parse_key_arn
from byok.domain.customer_aws import DEFAULT_PROFILE, build_account_options
from byok.domain.iam.findings import format_statements
from byok.domain.iam.statements import build_rds_key_statements, build_s3_key_statements
from byok.domain.phases import RequestKind
from byok.domain.remediation import RetryRequest
from byok.domain.vendor import VendorProfile


@dataclass(frozen=True)
class RemedyContext:
    """The values to insert into a remedy.

    Attributes:
        platform_role_arn: The role to which the key policies grant access; None if the role is not known yet.
        key: Which of the customer's keys is affected; None if neither key is affected.
        key_arn: The ARN of the affected key, as the user entered it.
        request_kind: What the user requested. The last step of a remedy is to retry this request.
        profile: The customer's AWS CLI profile; empty for commands without a profile.
        other_key_arn: The ARN of the other key of the pair, as the user entered it.
        organisation: The organisation that owns the environment; None if the vendor owns it.
        advice: What to do about an exceeded quota.
    """

    region: str
    platform_role_arn: str | None
    vendor: VendorProfile
    key: KeyPurpose | None = None
    key_arn: str | None = None
    request_kind: RequestKind = RequestKind.ENVIRONMENT
    profile: str = DEFAULT_PROFILE
    other_key_arn: str | None = None
    organisation: str | None = None
    advice: str = ""

    @property
    def profile_hint(self) -> str:
        """A sentence that tells the user which credentials to use for a command.

        A profile is either a placeholder or the customer's own profile.
        """
        if not self.profile:
            return "Run the command in the account that owns the key, for example in AWS CloudShell."
        account = "AWS CLI profile for the account that owns the key"
        if self.profile == DEFAULT_PROFILE:
            return f"In the command, replace {DEFAULT_PROFILE} with your {account}."
        return f"In the command, {self.profile} is your {account}."

    @property
    def account_options(self) -> str:
        """The AWS CLI options for the customer's account.

        If the customer did not choose a profile, the profile name is a placeholder that they replace with their own
        (contract 40).
        """
        return build_account_options(self.profile, self.region)

    @property
    def kms_key_options(self) -> str:
        """The options for a KMS command that uses this key.

        The ARN is quoted for the shell, because a user entered it.
        """
        return f"{self.account_options} --key-id {shlex.quote(self.key_arn) if self.key_arn else '<key ARN>'}"

    @property
    def platform_account(self) -> str:
        """The id of the platform's account, or the words "the platform's account" if the id is not known."""
        return account_id_of_role(self.platform_role_arn) if self.platform_role_arn else "the platform's account"

    @property
    def statements_json(self) -> str:
        """The key policy statements for this key as JSON, ready to paste; empty if the platform role is not known."""
        if self.platform_role_arn is None:
            return ""
        render = build_rds_key_statements if self.key is KeyPurpose.RDS else build_s3_key_statements
        rendered = render(self.platform_role_arn, self.region, self.vendor, self.organisation)
        return format_statements(rendered)

    @property
    def parsed_key(self) -> KeyArn | None:
        """The parts of this key's ARN; None if the ARN is not known or invalid."""
        try:
            return parse_key_arn(self.key_arn or "")
        except InvalidKeyArnError:
            return None

    @property
    def key_account(self) -> str:
        """The id of the account that owns this key."""
        return self.parsed_key.account if self.parsed_key else "the account"

    @property
    def replica_arn(self) -> str:
        """The ARN of this multi-Region key's replica in the environment's Region.

        The ARNs of a multi-Region key and its replicas differ only in the Region.
        """
        return str(replace(self.parsed_key, region=self.region)) if self.parsed_key else "the key ARN in that Region"

    @property
    def retry_request(self) -> RetryRequest:
        """The request that the user repeats once the problem is fixed."""
        return RETRIES[self.request_kind][0]


RETRIES: Final = {
    RequestKind.ENVIRONMENT: (
        RetryRequest.REPLAY,
        "Retry with the same values: provisioning resumes where it stopped.",
    ),
    RequestKind.TENANT: (
        RetryRequest.SET_TENANT_NAME,
        "Retry with the same values: byok skips a key that already has the name.",
    ),
    RequestKind.DELETION: (
        RetryRequest.DELETE,
        "Retry the deletion: byok skips resources that are already deleted.",
    ),
    RequestKind.KEY_CHECK: (
        RetryRequest.CHECK_KEYS,
        "Retry the check of the keys.",
    ),
    RequestKind.HEALTH: (
        RetryRequest.NONE,
        "You do not need to retry anything: byok checks the environment again within five minutes.",
    ),
}
"""Maps each kind of request to the request that the user repeats in the last step of a remedy, and to the default text
of that step."""
