"""Lua: runtimes, what scripts see of the server in them, and how values pass either way.

Knows no command and no session: what a script asks for goes to its ``Host`` (runtime.py). The only
package that imports lupa.
"""
