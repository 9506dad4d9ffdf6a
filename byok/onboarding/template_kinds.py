"""The kinds of templates. This module imports nothing heavy, because every command of the CLI imports it."""

from enum import StrEnum


class TemplateKind(StrEnum):
    """The templates from which a customer creates resources."""

    KEYS = "keys"
    TENANT_ROLE = "tenant-role"
    TERRAFORM = "terraform"
