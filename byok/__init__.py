"""Provision a SaaS customer's Aurora cluster and S3 buckets, encrypted with KMS keys that the customer owns."""

import os

# The version is a constant because the container image runs byok from the source tree, without package metadata.
__version__ = "0.1.0"

# Pydantic looks for plugins in the metadata of every installed package. byok uses no plugins, and the search would
# account for a tenth of each program's start-up time.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
