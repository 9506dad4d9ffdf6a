"""The offline check of a key policy: what the platform will do with the key, and whether the policy lets it.

`calls` knows every call in its real context, `document` reads what a person pastes, `near_misses` finds out why a call
is denied, `report` puts it together. Nothing here asks AWS, and no credentials are needed; the decisions are
`byok.domain.iam.evaluator`'s, the same that the local AWS makes.
"""
