"""The diagnosis of two keys, based on facts that the key administrator collects."""
