"""KMS: keys, aliases, key policies, grants and tags, and the checks that determine who may use a key."""
