"""The tenant's name, and what it puts on the two keys: an alias each, and the same tags on both (contract 100-106).

The rule for a name is here and nowhere else. It is applied before anything is made: a name that cannot be put on a key
would otherwise be found out at the very end.
"""

import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Self

from byok.domain.arns import KeyPair, KeyPurpose
from byok.domain.phases import AliasState
from byok.domain.vendor import VendorProfile

# What an alias may hold; a tag's value may hold all of it and more (KMS, CreateAlias and Tag).
_NAME: Final = re.compile(r"[A-Za-z0-9/_-]+")


EXTERNAL_ID_PATTERN: Final = r"^[A-Za-z0-9_+=,.@:/-]{2,1224}$"
"""Source: STS, AssumeRole, ExternalId."""

EXTERNAL_ID_IN_WORDS: Final = "2 to 1224 letters, digits and the characters _ + = , . @ : / -"

_EXTERNAL_IDS: Final = uuid.UUID("0d4b6c5e-7a43-5c1f-9a55-6f1d6a3f2b10")
"""Keeps ids that are made here apart from ids that are made of the same texts elsewhere."""


class InvalidTenantNameError(ValueError):
    """A tenant's name that cannot be put on a key; the text says why."""


def require_valid_tenant_name(tenant: str, vendor: VendorProfile) -> str:
    """See that a name is legal in both aliases and in the tags (contract 105).

    Raises:
        TenantNameError: It is not.
    """
    longest = vendor.tenant_name_max_length
    if not tenant:
        raise InvalidTenantNameError("The tenant's name is empty.")
    if len(tenant) > longest:
        raise InvalidTenantNameError(
            f"The tenant's name has {len(tenant)} characters, and the longer of the two aliases has room for {longest}."
        )
    if not _NAME.fullmatch(tenant):
        strange = sorted(set(re.sub(_NAME, "", tenant)))
        shown = " ".join("a space" if char == " " else char if char.isprintable() else repr(char) for char in strange)
        raise InvalidTenantNameError(
            f"The tenant's name {tenant!r} holds {shown}: an alias of KMS takes letters without accents, digits, "
            "hyphens, underscores and slashes."
        )
    return tenant


@dataclass(frozen=True)
class TenantLabels:
    """What a key bears when it bears a tenant's name.

    Attributes:
        alias: The alias, `alias/…`.
        tags: Keys and values of the tags.
    """

    alias: str
    tags: dict[str, str]

    @classmethod
    def for_key(cls, which: KeyPurpose, tenant: str, vendor: VendorProfile) -> Self:
        """The marks of one of the two keys.

        Raises:
            TenantNameError: The name cannot be put on a key.
        """
        require_valid_tenant_name(tenant, vendor)
        return cls(vendor.alias_for_tenant(which, tenant), dict.fromkeys(vendor.tenant_tags, tenant))


def derive_external_id(keys: KeyPair) -> str:
    """The external id of the role that names a pair of keys: the same whenever it is asked for, and nobody else's.

    It follows from the keys, which belong to one environment alone, and is the platform's choice: a customer who gives
    the ARN of somebody else's role does not get that role's id with it. It is no secret (IAM user guide, "Access to AWS
    accounts owned by third parties").
    """
    return str(uuid.uuid5(_EXTERNAL_IDS, " ".join(keys.arns)))


@dataclass(frozen=True)
class TagDifference:
    """What has to be written so that a key bears the tags it has to.

    Attributes:
        missing: The tags that are not there, or say something else.
        replaced: What those of them that are there say now.
    """

    missing: dict[str, str]
    replaced: dict[str, str]

    @classmethod
    def between(cls, present: Mapping[str, str], wanted: Mapping[str, str]) -> Self:
        """The difference; tags that nobody asked about are left alone."""
        missing = {name: value for name, value in wanted.items() if present.get(name) != value}
        return cls(missing, {name: present[name] for name in missing if name in present})


def decide_alias_state(points_at: str, key_id: str, pair: Collection[str], *, repoint: bool) -> AliasState:
    """What is to become of an alias that exists.

    Args:
        points_at: The id of the key that it points at.
        key_id: Of the key that it is to point at.
        pair: The ids of the environment's two keys. The role in the customer's account may take an alias away from no
            other: UpdateAlias needs permission on the key that it leaves, too.
        repoint: Whether it may be pointed elsewhere at all.
    """
    if points_at == key_id:
        return AliasState.IN_PLACE
    return AliasState.REPOINTED if repoint and points_at in pair else AliasState.CONFLICT


def is_alias_of_another_tenant(alias: str, which: KeyPurpose, tenant: str, vendor: VendorProfile) -> bool:
    """Whether an alias is of this kind of key's pattern, for another tenant."""
    before, after = vendor.alias_pattern(which).split("{tenant}")
    fits = alias.startswith(before) and alias.endswith(after) and len(alias) > len(before) + len(after)
    return fits and alias != vendor.alias_for_tenant(which, tenant)
