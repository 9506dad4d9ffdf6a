"""The rules for tenant names, and the labels that contain a tenant name on the two keys (contract 100-106).

The labels are an alias for each key, and the same tags on both keys.

Only this module defines which tenant names are valid. byok validates a name before it creates anything, because an
invalid name would otherwise cause an error only in the last phase.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self

from byok.domain.arns import KeyPurpose
from byok.domain.phases import AliasOutcome
from byok.domain.vendor import VendorProfile

# The characters that an alias may contain. A tag value may contain all these characters and more (KMS, CreateAlias and
# Tag).
_NAME: Final = re.compile(r"[A-Za-z0-9/_-]+")


EXTERNAL_ID_PATTERN: Final = r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$"
"""The external ids that AWS accepts (source: STS, AssumeRole, ExternalId)."""

EXTERNAL_ID_IN_WORDS: Final = "2 to 1224 letters, digits and the characters _ + = , . @ : / -"


class InvalidTenantNameError(ValueError):
    """Raised for a tenant name that cannot be used in the aliases or tags. The message gives the reason."""


def require_valid_tenant_name(tenant: str, vendor: VendorProfile) -> str:
    """Check that a name is valid in both aliases and in the tags (contract 105).

    Raises:
        InvalidTenantNameError: The name is not valid.
    """
    longest = vendor.tenant_name_max_length
    if not tenant:
        raise InvalidTenantNameError("The tenant name is empty.")
    if len(tenant) > longest:
        raise InvalidTenantNameError(
            f"The tenant name has {len(tenant)} characters, but the longer of the two aliases has room for {longest}."
        )
    if not _NAME.fullmatch(tenant):
        strange = sorted(set(re.sub(_NAME, "", tenant)))
        shown = " ".join("a space" if char == " " else char if char.isprintable() else repr(char) for char in strange)
        raise InvalidTenantNameError(
            f"The tenant name {tenant!r} contains {shown}: a KMS alias allows only unaccented letters, digits, "
            "hyphens, underscores and slashes."
        )
    return tenant


@dataclass(frozen=True)
class TenantLabels:
    """The labels of a key that contain the tenant name.

    Attributes:
        alias: The alias, `alias/…`.
        tags: Keys and values of the tags.
    """

    alias: str
    tags: dict[str, str]

    @classmethod
    def for_key(cls, which: KeyPurpose, tenant: str, vendor: VendorProfile) -> Self:
        """Build the labels of one of the two keys.

        Raises:
            InvalidTenantNameError: The name is not valid.
        """
        require_valid_tenant_name(tenant, vendor)
        return cls(vendor.alias_for_tenant(which, tenant), dict.fromkeys(vendor.tenant_tags, tenant))


@dataclass(frozen=True)
class TagDifference:
    """The difference between the required tags of a key and its current tags.

    Attributes:
        missing: The required tags that are absent or have a different value.
        replaced: The current values of the tags whose value differs from the required value.
    """

    missing: dict[str, str]
    replaced: dict[str, str]

    @classmethod
    def between(cls, present: Mapping[str, str], wanted: Mapping[str, str]) -> Self:
        """Compare a key's current tags with the required tags. Tags that are not required are ignored."""
        missing = {name: value for name, value in wanted.items() if present.get(name) != value}
        return cls(missing, {name: present[name] for name in missing if name in present})


def decide_alias_state(points_at: str, key_id: str, pair: Collection[str], *, repoint: bool) -> AliasOutcome:
    """Decide what byok does with an existing alias.

    Args:
        points_at: The id of the key that the alias points to.
        key_id: The id of the key that the alias should point to.
        pair: The ids of the environment's two keys. UpdateAlias also requires permission on the key that the alias
            currently points to, and the role in the customer's account has this permission only for these two keys.
        repoint: Whether the request allows byok to repoint an alias.
    """
    if points_at == key_id:
        return AliasOutcome.IN_PLACE
    return AliasOutcome.REPOINTED if repoint and points_at in pair else AliasOutcome.CONFLICT


def is_alias_of_another_tenant(alias: str, which: KeyPurpose, tenant: str, vendor: VendorProfile) -> bool:
    """Return whether an alias matches this key's pattern but contains another tenant's name."""
    before, after = vendor.alias_pattern(which).split("{tenant}")
    fits = alias.startswith(before) and alias.endswith(after) and len(alias) > len(before) + len(after)
    return fits and alias != vendor.alias_for_tenant(which, tenant)
