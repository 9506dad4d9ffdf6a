"""IAM and key policies: the statements that byok needs, the policy evaluator, and the check of a key policy."""
