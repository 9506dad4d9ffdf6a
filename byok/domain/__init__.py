"""The rules of byok, in pure Python and pydantic, without I/O."""
