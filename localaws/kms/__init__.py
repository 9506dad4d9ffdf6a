"""KMS: keys, aliases, key policies, grants and tags, and the checks of who may use a key."""
