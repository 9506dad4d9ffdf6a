"""One module per command or group of commands.

Functions import their dependencies only when they are called, so that `byok --help` stays fast.
"""
