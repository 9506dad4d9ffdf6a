"""The single interface to Temporal for everything except the worker: it starts, watches and changes environments.

`environments` contains `EnvironmentService`, and `connection` connects an `EnvironmentService` to Temporal. Import from
the modules, not from this package, so that code that needs only `errors` does not load the Temporal client.
"""
