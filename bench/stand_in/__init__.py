"""A lean stand-in for the AWS endpoints that the worker's activities call, used to measure throughput.

The local AWS emulator would limit the throughput, because it uses more CPU than the worker. The stand-in gives the same
responses as the local AWS emulator, but only to the calls that create, poll and remove an environment. The stand-in
rejects all other calls. The stand-in does not check signatures, policies or keys, and keeps everything in memory.
"""
