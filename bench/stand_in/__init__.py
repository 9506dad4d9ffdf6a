"""A lean stand-in for the AWS endpoints that the worker's activities call, used to measure throughput.

The local AWS would limit the throughput, because it uses more CPU than the worker. The stand-in gives the same
responses as the local AWS, but only to the calls that create, poll and remove an environment. All other calls are
rejected because they are not modelled. The stand-in does not check signatures, policies or keys, and keeps everything
in memory.
"""
