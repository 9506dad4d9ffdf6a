"""State machines only: no I/O, no boto3, no settings."""
