"""A local AWS emulator with realistic KMS behaviour: moto's server behind a layer that adds the rules that moto lacks.

The local AWS emulator has two accounts (platform and customer), evaluates key policies, and returns AWS's error codes
and messages. Product code never imports this package, and reaches the local AWS emulator only through an endpoint URL.
"""
