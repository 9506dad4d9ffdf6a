"""The HTTP API for a portal; like the CLI and the wizard, it uses `byok.service`."""
