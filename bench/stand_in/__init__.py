"""A lean stand-in for the AWS endpoints that the worker's activities call, used to measure throughput.

The local AWS is too slow for this, because it uses more CPU than the worker. The stand-in models only the calls that
create, poll and remove an environment, and gives the same responses to these calls as the local AWS. It rejects every
other call as not modelled. It does not check signatures, policies or keys, and keeps everything in memory.
"""
