"""A module per command: its arguments and its exit codes. Imports are inside, so that `byok --help` stays quick."""
