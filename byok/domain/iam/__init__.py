"""IAM and key policies: the statements that byok needs, policy evaluation, and the check of the platform's calls."""
