"""Links into the AWS Management Console."""

from typing import Final
from urllib.parse import quote, urlencode

from byok.domain.arns import KeyArn, partition_of_region

_CONSOLE_DOMAINS: Final = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-eusc": "console.amazonaws-eusc.eu",
}
"""The console's domain in each partition that is reachable from the public internet. AWS publishes no domain for the
isolated partitions.

Each Region has a host in this domain (AWS General Reference, "AWS Management Console endpoints and quotas"; the
European Sovereign Cloud has a general reference of its own).
"""

TEMPLATE_URL_PATTERN: Final = r"https://([a-z0-9.-]+\.)?s3([.-][a-z0-9-]+)*\.amazonaws\.(com|com\.cn|eu)/[^\s#]+"
"""Matches the URLs of S3 objects, because CloudFormation reads templates from S3 (CloudFormation, CreateStack,
TemplateURL)."""

TEMPLATE_URL_MAX_LENGTH: Final = 1024
"""The longest template URL that CloudFormation accepts."""


def console_url(region: str, path: str) -> str | None:
    """Return the address of a console page in a Region.

    Args:
        region: The Region, which the console shows as selected.
        path: The page, such as `kms/home#/kms/keys`. The function inserts the Region before the `#`.

    Returns:
        The address; None if the Region's partition has no public console.
    """
    domain = _CONSOLE_DOMAINS.get(partition_of_region(region))
    page, mark, fragment = path.partition("#")
    return domain and f"https://{region}.{domain}/{page}?region={region}{mark}{fragment}"


def key_url(key: KeyArn) -> str | None:
    """Return the address of a key's page, which shows the key's state and policy."""
    return console_url(key.region, f"kms/home#/kms/keys/{key.key_id}")


def key_list_url(region: str) -> str | None:
    """Return the address of the console page that lists the customer managed keys in a Region."""
    return console_url(region, "kms/home#/kms/keys")


def create_key_url(region: str) -> str | None:
    """Return the address of the console page for creating a key in a Region."""
    return console_url(region, "kms/home#/kms/keys/create")


def cloudshell_url(region: str) -> str | None:
    """Return the address of AWS CloudShell in a Region."""
    return console_url(region, "cloudshell/home")


def quick_create_url(region: str, template_url: str, stack_name: str, parameters: dict[str, str]) -> str | None:
    """Return the address of the console page that creates a stack, with all values already filled in.

    The customer checks the values and chooses *Create stack* (CloudFormation user guide, "Create quick-create links").

    Args:
        region: The Region of the stack.
        template_url: The template's address in S3, which the customer's credentials must be able to read.
        stack_name: The name of the stack.
        parameters: The template's parameters.

    Returns:
        The address; None if the Region's partition has no public console.
    """
    values = {"templateURL": template_url, "stackName": stack_name}
    values |= {f"param_{name}": value for name, value in parameters.items()}
    query = urlencode(values, quote_via=quote, safe="")
    return console_url(region, f"cloudformation/home#/stacks/create/review?{query}")
