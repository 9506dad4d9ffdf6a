"""Run the whole stack on one machine: a Temporal dev server, a local AWS emulator and a worker, as child processes.

This package runs the local AWS emulator as a separate program and calls its endpoint, but never imports its code.
"""
