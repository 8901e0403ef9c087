"""``tendis-py load``: puts load on any Redis-protocol server, and measures what its clients feel.

    command_line → generator → source (mix, recorded) → keys, templates
                 ↘ schedule, tally → outcome → report, picture

Knows a server only by its protocol, and nothing of tendis-py's own.
"""
