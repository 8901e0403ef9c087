"""Scripts by the thousand."""

from __future__ import annotations

from tests.support.resp import Error
from tests.support.servers import ServerProcess


def test_the_time_of_the_last_script_does_not_count_for_the_next(
    tendis_default: ServerProcess,
) -> None:
    """Compiling takes instructions, too, after which the clock is looked at now and then."""
    with tendis_default.client() as client:
        assert client.value("EVAL", "return 1", 0) == 1
        for start in range(0, 5000, 500):
            replies = client.pipeline(
                [
                    [b"SCRIPT", b"LOAD", b"return %d" % number]
                    for number in range(start, start + 500)
                ]
            )
            assert {reply[:4] for reply in replies} == {b"$40\r"}
        assert not isinstance(client.value("SCRIPT", "FLUSH"), Error)
