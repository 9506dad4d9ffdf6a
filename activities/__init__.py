"""Thin AWS adapters, a file per service: each finds, compares, acts, adopts or refuses."""
