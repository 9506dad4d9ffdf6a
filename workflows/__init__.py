"""The workflows. Workflows are pure state machines: they perform no I/O and use neither boto3 nor settings."""
