"""The part of IAM that roles need: roles with inline policies, and the rules for those policies."""
