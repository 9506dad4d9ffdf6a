"""Provision a SaaS customer's Aurora cluster and S3 buckets on KMS keys that the customer owns."""

import os

# Here and not in the metadata of an installed distribution: the image runs from the source tree.
__version__ = "0.1.0"

# pydantic looks for plugins in the metadata of everything that is installed, a tenth of the start of every program.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
