"""Starts, watches and changes environments. All parts of byok except the worker access Temporal through this package.

`environments` contains `EnvironmentService`, and `connection` connects an `EnvironmentService` to Temporal. Import from
the modules, not from this package, so that code that needs only `errors` does not load the Temporal client.
"""
