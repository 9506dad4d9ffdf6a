"""The command line: arguments, output and exit codes. `byok.service` does the work."""
