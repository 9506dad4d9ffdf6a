"""Run the whole stack on one machine: a Temporal dev server, a local AWS and a worker, as child processes.

This package starts the local AWS as a command and calls it at its endpoint; it never imports it.
"""
