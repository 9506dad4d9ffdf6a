"""What the product knows without asking anyone: pure Python and pydantic, no I/O."""
