"""Provision a SaaS customer's Aurora cluster and S3 buckets on KMS keys that the customer owns."""
