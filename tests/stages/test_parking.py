"""Parked connections, without sockets and without time."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tendis_py.services.clients import Clients
from tendis_py.session import Session
from tendis_py.stages.connection import GONE
from tendis_py.stages.parking import Parking


class Parked:
    def __init__(self) -> None:
        self.session = Session(GONE)
        self.wait = None


@pytest.fixture
def clients() -> Clients:
    return Clients(lambda: 100)


@pytest.fixture
def parking(clients: Clients) -> Parking:
    return Parking(clients)


def some(number: int) -> list[Any]:
    return [Parked() for _ in range(number)]


def test_an_empty_one_waits_for_nothing(parking: Parking) -> None:
    assert parking.deadline == math.inf
    assert parking.call_due(1e9) == []
    assert parking.call_paused() == []


def test_who_is_due_goes_in_the_order_of_deadlines(parking: Parking, clients: Clients) -> None:
    late, soon, later = some(3)
    for connection, until in ((late, 5.0), (soon, 1.0), (later, 9.0)):
        parking.park(connection, until)
    assert parking.deadline == 1.0
    assert len(clients.blocked) == 3
    assert parking.call_due(5.0) == [soon, late]
    assert (parking.deadline, len(parking)) == (9.0, 1)
    assert list(clients.blocked) == [later.session.id]


def test_all_go_in_the_order_they_came(parking: Parking, clients: Clients) -> None:
    first, second = some(2)
    parking.park(first, 9.0)
    parking.park(second, 1.0)
    assert parking.call_paused() == [first, second]
    assert parking.deadline == math.inf
    assert not clients.blocked


def test_who_has_left_and_come_again_waits_for_the_new_time(parking: Parking) -> None:
    (connection,) = some(1)
    parking.park(connection, 1.0)
    assert parking.leave(connection)
    assert not parking.leave(connection)
    parking.park(connection, 3.0)
    assert parking.call_due(2.0) == []
    assert connection in parking
    assert parking.call_due(3.0) == [connection]


def test_who_has_left_is_not_kept_until_its_time(parking: Parking) -> None:
    (stays,) = some(1)
    parking.park(stays, 5.0)
    for connection in some(1000):
        parking.park(connection, 1e9)
        parking.leave(connection)
    assert len(parking._deadlines) < 200
    assert parking.call_due(5.0) == [stays]
    assert parking.call_due(2e9) == []
