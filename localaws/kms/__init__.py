"""KMS: keys and who may use them, policies, aliases, and the operations."""
