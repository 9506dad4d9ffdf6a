"""The rules of byok: pure Python and pydantic, no I/O."""
