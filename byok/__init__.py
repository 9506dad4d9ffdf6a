"""Provision a SaaS customer's Aurora cluster and S3 buckets, encrypted with KMS keys that the customer owns."""

import os

# The version is a constant because the container image runs byok from the source tree, without package metadata.
__version__ = "0.1.0"

# Pydantic searches the metadata of every installed package for plugins. byok uses no plugins, so this module turns off
# the search, which would take a tenth of each program's start-up time.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
