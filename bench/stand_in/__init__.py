"""A lean stand-in for the AWS endpoints that the worker's activities call, used to measure throughput.

The local AWS uses more CPU than the worker. This stand-in gives the same responses as the local AWS for a successful
environment, for polling and for removal. It rejects everything else as not modelled. It checks no signature, policy or
key, and keeps everything in memory.
"""
