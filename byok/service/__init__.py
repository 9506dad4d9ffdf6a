"""The one door to Temporal for everything that is not a worker: it starts, watches and changes environments.

`environments` is the door, `connection` opens it. Import from the modules: `errors` alone loads no Temporal client.
"""
