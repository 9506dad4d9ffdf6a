"""Checks offline whether a key policy allows every call that the platform makes with the key.

`calls` lists every call with its real context, `document` parses the policy that a user provides, `statement_matching`
matches statements against calls, `near_misses` explains why a call is denied, and `report` combines the results. The
check does not call AWS and needs no credentials. The check evaluates policies with `byok.domain.iam.evaluator`, which
the local AWS emulator also uses.
"""
