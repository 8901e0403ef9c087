"""Who may do what an ``enable-…`` setting protects: no one, everyone, or clients of this host."""

from __future__ import annotations

import ipaddress

from tendis_py.session import Session


def allows(setting: str, session: Session) -> bool:
    """Whether ``setting`` (no, yes or local) lets this client."""
    return setting == "yes" or (setting == "local" and _is_local(session))


def _is_local(session: Session) -> bool:
    if session.unix:
        return True
    host = session.address.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
