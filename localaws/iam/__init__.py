"""The part of IAM that roles need: roles with inline policies, and what their policies may say."""
