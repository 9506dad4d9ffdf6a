"""The single interface to Temporal for everything except the worker: it starts, watches and changes environments.

`environments` holds the service, and `connection` connects it. Import from the modules: importing `errors` alone does
not load the Temporal client.
"""
