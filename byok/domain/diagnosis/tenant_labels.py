"""Finds pairs of keys with different tenant names, and keys that have a tenant tag but no tenant alias.

Neither condition affects the environment, so the severity of both findings is `NOTE`.
"""

from collections.abc import Iterator
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.customer_aws import DEFAULT_PROFILE, build_account_options
from byok.domain.diagnosis.key_facts import CollectedKey, CollectedKeys
from byok.domain.iam.findings import Finding, Severity, build_finding_remedy
from byok.domain.remediation import Actor, Remediation, RemedyStep
from byok.domain.tenant import InvalidTenantNameError, TenantLabels
from byok.domain.vendor import TENANT_PLACEHOLDER, VendorProfile

_PLACEHOLDER_HINT: Final = f"In the command, replace {DEFAULT_PROFILE} with your AWS CLI profile."


def find_tenant_findings(collection: CollectedKeys, vendor: VendorProfile, profile: str) -> Iterator[Finding]:
    """Yield the findings about different tenant names, and about keys that have a tenant tag but no tenant alias."""
    named: set[tuple[KeyPurpose, str]] = set()
    for which in KeyPurpose:
        key = collection.key(which)
        by_alias, by_tag = set(_by_alias(which, key, vendor)), set(_by_tag(key, vendor))
        named |= {(which, tenant) for tenant in by_alias | by_tag}
        if by_tag and not by_alias and key.aliases.aliases is not None:
            yield from _of_lone_tag(which, min(by_tag), build_account_options(profile, collection.region), vendor)
    tenants = sorted({tenant for _, tenant in named})
    if len(tenants) > 1:
        where = "; ".join(f"{tenant} on the {which.display_name}" for which, tenant in sorted(named))
        yield Finding(
            "key.TenantNamesDiffer",
            None,
            Severity.NOTE,
            f"The aliases and tags contain {len(tenants)} different tenant names: {where}.",
            build_finding_remedy(
                "The keys have different tenant names",
                "The environment is not affected. Set the correct name on both keys: redeploy the stack with "
                "TenantName, or ask the platform's operator for the commands (`byok tenant`).",
            ),
        )


def _of_lone_tag(which: KeyPurpose, tenant: str, options: str, vendor: VendorProfile) -> Iterator[Finding]:
    try:
        alias = TenantLabels.for_key(which, tenant, vendor).alias
    except InvalidTenantNameError:  # byok never sets an invalid name; such a name may be unsafe in a command
        return
    yield Finding(
        "key.TagWithoutAlias",
        which,
        Severity.NOTE,
        f"The {which.display_name} has tags with the tenant name {tenant}, but not the alias {alias}.",
        Remediation(
            title=f"The {which.display_name} has the tenant's tags, but not its alias",
            explanation="The environment is not affected.",
            steps=(
                RemedyStep(
                    actor=Actor.KEY_ADMINISTRATOR,
                    text="Another key may already have this alias. If so, this command prints the id of that key.",
                    credentials=_PLACEHOLDER_HINT if f"--profile {DEFAULT_PROFILE} " in options else None,
                    command=f"aws kms list-aliases {options} "
                    f"--query \"Aliases[?AliasName=='{alias}'].TargetKeyId\" --output text",
                ),
                RemedyStep(
                    actor=Actor.KEY_ADMINISTRATOR,
                    text="If that key does not need the alias, delete the alias. Then set the tenant name on the keys "
                    "again, with the commands from the platform's operator (`byok tenant`).",
                ),
            ),
        ),
    )


def _by_alias(which: KeyPurpose, key: CollectedKey, vendor: VendorProfile) -> Iterator[str]:
    before, after = vendor.alias_pattern(which).split(TENANT_PLACEHOLDER)
    for name in (alias.alias_name for alias in key.aliases.aliases or ()):
        if name.startswith(before) and name.endswith(after):
            yield name[len(before) : len(name) - len(after)]


def _by_tag(key: CollectedKey, vendor: VendorProfile) -> Iterator[str]:
    yield from (tag.tag_value for tag in key.tags.tags if tag.tag_key in vendor.tenant_tags)
