"""Provision a SaaS customer's Aurora cluster and S3 buckets on KMS keys that the customer owns."""

import os

# Not read from package metadata: the image runs from the source tree, with no installed distribution.
__version__ = "0.1.0"

# Plugin discovery scans the metadata of every installed package, which takes a tenth of each program's start-up time.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
