"""The files that a customer downloads before and after creating the keys."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from byok.domain.diagnosis.key_facts import COLLECTION_SCRIPT_FILE
from byok.domain.onboarding.customer_commands import KEYS_TEMPLATE_FILE, TENANT_ROLE_TEMPLATE_FILE
from byok.domain.vendor import VendorProfile
from byok.onboarding.collection_script import render_collection_script
from byok.onboarding.template import render_keys_template
from byok.onboarding.template_kinds import TemplateKind
from byok.onboarding.tenant_role import render_tenant_role_template
from byok.onboarding.terraform import TERRAFORM_FILE, render_terraform_file


@dataclass(frozen=True)
class Download:
    """A file to download.

    Attributes:
        name: The file name, which the customer's commands and instructions also use.
    """

    name: str
    media_type: str
    text: str


_YAML: Final = "application/yaml"
_PLAIN_TEXT: Final = "text/plain"


def build_template(
    kind: TemplateKind, platform_role_arn: str, region: str, vendor: VendorProfile, organisation: str | None = None
) -> Download:
    """Build a template. Only the Terraform file depends on the role, the Region and the organisation.

    Raises:
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    builders: dict[TemplateKind, Callable[[], Download]] = {
        TemplateKind.KEYS: lambda: Download(KEYS_TEMPLATE_FILE, _YAML, render_keys_template(vendor)),
        TemplateKind.TENANT_ROLE: lambda: Download(
            TENANT_ROLE_TEMPLATE_FILE, _YAML, render_tenant_role_template(vendor)
        ),
        TemplateKind.TERRAFORM: lambda: Download(
            TERRAFORM_FILE, _PLAIN_TEXT, render_terraform_file(platform_role_arn, region, vendor, organisation)
        ),
    }
    return builders[kind]()


def build_collection_script(
    platform_role_arn: str,
    region: str,
    s3_key_arn: str | None = None,
    rds_key_arn: str | None = None,
    organisation: str | None = None,
) -> Download:
    """Build the key administrator's script. The script prompts for any ARN that is missing."""
    text = render_collection_script(platform_role_arn, region, s3_key_arn, rds_key_arn, organisation)
    return Download(COLLECTION_SCRIPT_FILE, _PLAIN_TEXT, text)
