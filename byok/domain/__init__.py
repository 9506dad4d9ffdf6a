"""byok's rules, in pure Python and pydantic, without I/O."""
