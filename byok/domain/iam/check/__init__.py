"""The offline check of a key policy: whether it allows every call that the platform makes with the key.

`calls` lists every call with its real context, `document` parses what a person pastes, `near_misses` explains why a
call is denied, and `report` combines the results. Nothing here calls AWS or needs credentials. The decisions are made
by `byok.domain.iam.evaluator`, as in local AWS.
"""
