"""One module per command or group of commands.

Functions import what they need only when they run, so that `byok --help` stays fast.
"""
