"""Users for a service: each of its programs may do what it is for, and nothing else.

Needs ``pip install redis``, the client.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import redis

from support import running_server

USERS = """
user default off
user admin on >{password} ~* &* +@all
user shop on >{password} ~shop:* &shop:* +@all -@admin -@dangerous
user reports on >{password} %R~shop:order:* +@read +@connection -@dangerous (~reports:* +@string)
user deploy on >{password} resetkeys +acl|setuser +acl|save +acl|whoami +client|setinfo
"""
"""``shop`` works on its own keys; ``reports`` reads orders, and writes its own keys; ``deploy`` may
change users, and see no data."""


def client_of(port: int, user: str, password: str = "example") -> redis.Redis:
    return redis.Redis(port=port, username=user, password=password, decode_responses=True)


def refused(client: redis.Redis, *command: str) -> str:
    """What the server says of a command that it must not run."""
    try:
        client.execute_command(*command)
    except redis.exceptions.ResponseError as error:
        return str(error)
    raise AssertionError(f"{command} was run")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "users.acl")
        path.write_text(USERS.format(password="example"), encoding="utf-8")
        with running_server("--aclfile", str(path)) as port:
            show(port)
        assert ">example" not in path.read_text(encoding="utf-8")  # ACL SAVE writes hashes


def show(port: int) -> None:
    shop, reports = client_of(port, "shop"), client_of(port, "reports")
    shop.hset("shop:order:1", mapping={"what": "tea", "price": "4"})
    print("shop flushes:       ", refused(shop, "FLUSHALL"))
    print("shop looks elsewhere:", refused(shop, "GET", "reports:tea"))

    order: Any = reports.hgetall("shop:order:1")
    reports.incrby("reports:tea", int(order["price"]))
    print("reports adds up:    ", reports.get("reports:tea"))
    print("reports changes one:", refused(reports, "HSET", "shop:order:1", "price", "0"))

    deploy = client_of(port, "deploy")
    deploy.execute_command("ACL", "SETUSER", "shop", "<example", ">changed")
    deploy.execute_command("ACL", "SAVE")
    assert client_of(port, "shop", "changed").ping()
    try:
        client_of(port, "shop").ping()
        raise AssertionError("the old password still works")
    except redis.exceptions.AuthenticationError as error:
        print("the old password:   ", error)

    log: Any = client_of(port, "admin").acl_log()
    print("denied:             ", [(it["username"], it["reason"], it["object"]) for it in log])


if __name__ == "__main__":
    main()
