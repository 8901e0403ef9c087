"""Stands in for the exposition to come."""

from tendis_py.services import Services


def exposition(services: Services, accept: str = "") -> tuple[bytes, str]:
    return b"", "text/plain; version=0.0.4; charset=utf-8"
