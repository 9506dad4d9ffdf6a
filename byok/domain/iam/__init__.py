"""IAM and key policies: what the platform asks for, what a policy means, and whether it allows the platform's calls."""
