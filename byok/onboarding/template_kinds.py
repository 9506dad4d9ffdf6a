"""The kinds of templates. Every command of the CLI imports this module, so it imports nothing that is slow to load."""

from enum import StrEnum


class TemplateKind(StrEnum):
    """The templates from which a customer creates resources."""

    KEYS = "keys"
    TENANT_ROLE = "tenant-role"
    TERRAFORM = "terraform"
