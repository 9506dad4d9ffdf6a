"""One module per command: its arguments and exit codes. Functions import what they need: `byok --help` stays fast."""
