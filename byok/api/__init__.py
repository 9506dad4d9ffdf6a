"""The HTTP API: what a portal asks for, over the one door to Temporal that everybody uses."""
