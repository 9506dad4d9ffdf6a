"""The one door to Temporal for everything that is not a worker: whoever starts, watches or changes an environment.

`connection` opens it, `environments` is it. It is imported module by module: the errors alone cost no Temporal client.
"""
