"""The offline check of a key policy: whether the policy allows every call that the platform makes with the key.

`calls` lists every call with its real context, `document` parses the policy that a user provides, `statement_matching`
matches statements against calls, `near_misses` explains why a call is denied, and `report` combines the results. The
check does not call AWS and needs no credentials. Like the local AWS, the check evaluates policies with
`byok.domain.iam.evaluator`.
"""
