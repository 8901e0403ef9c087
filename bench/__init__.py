"""Benchmarks: tendis-py beside redis-server, on one machine, alternating in one run.

Nothing here is imported by the server, and nothing here imports the server:
it is a process with a port.
"""
