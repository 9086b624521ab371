"""The door in front of the model servers: aliases, sticky arms, capture. A process of its own.

It stands in the request path, so that it imports nothing but `core` and keeps serving when the daemon, the routing
file or the disk is away.
"""
