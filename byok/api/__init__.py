"""The HTTP API for a customer portal. Like the CLI and the wizard, the API uses `byok.service`."""
