"""The dashboard and /metrics, over HTTP (extra ``dashboard``).

Role: show what ``services.observatory`` knows. May import: services, config, listening sockets.
Nothing but ``dashboard`` may be imported where the extra is missing. Nobody knows of this package
but the server, which starts and stops it.
"""
