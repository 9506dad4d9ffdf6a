"""Everything on one machine: a Temporal dev server, a local AWS and a worker, as child processes.

It meets the local AWS as a command and an endpoint, never as code.
"""
