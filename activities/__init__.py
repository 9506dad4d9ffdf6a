"""Thin AWS adapters, one module per service. Each finds, compares, and then creates, adopts or refuses a resource."""
