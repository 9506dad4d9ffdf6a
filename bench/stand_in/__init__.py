"""A lean stand-in of the AWS endpoints that the worker's activities call, to measure throughput with.

The local AWS takes more of the processor than the worker does. This one answers what the local AWS answers on the
happy way of an environment, its polling and its removal, and refuses everything else as not modelled. It checks no
signature, no policy and no key. Everything is kept in memory.
"""
