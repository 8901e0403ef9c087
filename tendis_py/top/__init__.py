"""``tendis-py top``: a server watched in a terminal.

Knows the server only by its protocol: ours by INFO and STAGES, a plain Redis by what that has.
"""
