"""A local AWS with realistic KMS behaviour: moto's server behind a layer that adds the rules moto lacks.

It has two accounts (platform and customer), real key policies, real error codes and messages. Product code never
imports this package; it sees it only as an endpoint URL.
"""
