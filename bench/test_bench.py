"""The figures of the benchmarks: what is read from reports and sockets, and how it is judged."""

import math
import os
import socket
import subprocess
import threading
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import (
    cold,
    collections,
    compare,
    crowd,
    isolation,
    latency_client,
    memory,
    redis_benchmark,
    redis_defaults,
    report,
    revisions,
    scenes,
    scripting,
    servers,
    sessions,
    wire,
)
from bench.redis_benchmark import BenchmarkError, Cell, Measurement, parse
from bench.report import Goal
from bench.revisions import Change
from bench.scenes import SCENES, Scene, Size
from bench.servers import BARE_LOOP, DEFAULT_MODEL, MODELS, REDIS, ROOT, Server

REPORT = """
====== GET ======
  60000 requests completed in 0.64 seconds

Latency by percentile distribution:
0.000% <= 0.087 milliseconds (cumulative count 1)
50.000% <= 0.271 milliseconds (cumulative count 31103)
99.805% <= 1.223 milliseconds (cumulative count 59884)
{rows}100.000% <= 2.351 milliseconds (cumulative count 60000)

Cumulative distribution of latencies:
0.015% <= 0.103 milliseconds (cumulative count 9)
99.857% <= 1.303 milliseconds (cumulative count 59914)
100.000% <= 3.103 milliseconds (cumulative count 60000)

Summary:
  throughput summary: 93603.75 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.278     0.080     0.271     0.359     0.479     2.351
"""
P999_ROW = "99.902% <= 1.375 milliseconds (cumulative count 59942)\n"


def test_report_is_read() -> None:
    read = parse(REPORT.format(rows=P999_ROW), 7.5)
    assert read == Measurement(93603.75, 0.271, 0.479, 1.375, 7.5)


def test_p999_of_a_coarse_report_is_not_flattered() -> None:
    assert parse(REPORT.format(rows=""), 7.5).p999 == 2.351


@pytest.mark.parametrize("text", ["", "Could not connect", REPORT.partition("Summary")[0]])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(BenchmarkError):
        parse(text, 7.5)


@pytest.mark.parametrize(
    ("percent", "expected"), [(50.0, 500), (99.0, 990), (99.9, 999), (99.95, 1000), (100.0, 1000)]
)
def test_percentile_is_the_nearest_rank(percent: float, expected: int) -> None:
    assert report.percentile(range(1, 1001), percent) == expected


def test_percentile_of_one_sample() -> None:
    assert report.percentile([7], 0.1) == 7


def test_goal_at_its_limit() -> None:
    assert Goal("ratio", 0.6, 0.6, at_least=True).verdict == "pass"
    assert Goal("ratio", 0.6, 0.59, at_least=True).verdict == "FAIL"
    assert Goal("latency", 10.0, 10.0).verdict == "FAIL"
    assert Goal("latency", 10.0, 9.9).verdict == "pass"
    assert Goal("latency", 10.0, None).verdict == "not measured"


def rounds(*rates: float) -> list[Measurement]:
    """A round with each of these rates, on a server that takes 10 µs of CPU time a request."""
    return [Measurement(rate, 1.0, 1.0, 1.0, 10.0) for rate in rates]


def test_ratio_is_taken_within_a_round() -> None:
    # The machine halves its speed for the second round: no round's ratio changes.
    assert compare.ratio({REDIS: rounds(100, 50), "tendis": rounds(80, 40)}, "tendis") == 0.8


def test_every_model_has_goals() -> None:
    results = {Cell("SET", 50, 1): dict.fromkeys((REDIS, *MODELS), rounds(10.0))}
    verdicts = [goal.verdict for goal in compare.goals(results, MODELS)]
    assert verdicts.count("pass") == len(MODELS)
    assert verdicts.count("not measured") == len(verdicts) - len(MODELS)


def test_defaults_have_a_goal_each() -> None:
    results = {
        Cell(test, 50, 1): {REDIS: rounds(100.0), "tendis": rounds(rate)}
        for test, rate in (("SADD", 60.0), ("HSET", 40.0))
    }
    goals = redis_defaults.goals(results, "tendis")
    assert [goal.value for goal in goals] == [0.6, 0.4]
    assert [goal.verdict for goal in goals] == ["pass", "FAIL"]


def test_goals_of_the_default_model() -> None:
    """A tenth below redis-server is enough for every cell, half of it for none."""
    cells = [Cell(test, clients, 1) for test in ("PING", "GET", "SET") for clients in (1, 50)]
    for rate, failing in ((90.0, set()), (50.0, {*cells})):
        results = {cell: {REDIS: rounds(100.0), "tendis": rounds(rate)} for cell in cells}
        goals = compare.goals(results, ["tendis"])
        failed = {goal.name for goal in goals if goal.verdict == "FAIL"}
        assert failed == {f"tendis: {cell}" for cell in failing}


def test_results_tell_cpu_time_and_floor() -> None:
    results = {Cell("PING", 1, 1): {REDIS: rounds(100.0), BARE_LOOP: rounds(120.0)}}
    header, _, first, floor = compare.results_table(results).splitlines()
    assert "| CPU µs |" in header
    assert [cell.strip() for cell in floor.split("|")][4:8] == ["bare loop", "120", "1.20", "10.0"]
    assert REDIS in first


@pytest.mark.parametrize("name", ["python", "a) S 1 (b", "x y"])
def test_cpu_time_is_read_whatever_the_name(name: str) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    stat = f"17 ({name}) S 1 17 17 0 -1 4194560 9 0 1 0 {3 * ticks} {2 * ticks} 70 80 20 0 4 0"
    assert servers.parse_cpu_seconds(stat) == 5.0


def test_cpu_time_is_that_of_the_process() -> None:
    """Two ticks may be missing: each of its halves is rounded down."""
    least = time.process_time() - 2 / os.sysconf("SC_CLK_TCK")
    assert least <= Server("own", 0, os.getpid()).cpu_seconds() <= time.process_time()


def test_models_take_turns_behind_the_references() -> None:
    names = (REDIS, "tendis before", "tendis", BARE_LOOP)
    running = [Server(name, 0, 0) for name in names]
    orders = [[server.name for server in servers.in_turn(running, turn)] for turn in range(3)]
    assert orders[0] == orders[2] == [REDIS, BARE_LOOP, "tendis before", "tendis"]
    assert orders[1] == [REDIS, BARE_LOOP, "tendis", "tendis before"]
    assert servers.in_turn(running[:1], 1) == running[:1]


def test_bare_loop_answers_each_ping_once() -> None:
    ping = wire.command(b"PING")
    with servers.running(BARE_LOOP) as server, wire.Connection(server.port) as connection:
        assert connection.exchange(ping * 3, 21) == b"+PONG\r\n" * 3
        halves = (ping + ping[:5], ping[5:])
        answers = [connection.exchange(half, 7 * half.count(b"*")) for half in halves]
        assert b"".join(answers) == b"+PONG\r\n" * 2


def test_change_is_taken_within_a_round() -> None:
    # The machine halves its speed for the second round, and one pair is an outlier.
    change = Change([100.0, 50.0, 100.0], [97.0, 48.5, 10.0])
    assert change.ratio == 0.97
    assert change.columns() == ["100", "48", "0.970", "0.10 to 0.97"]


def test_change_of_nothing_is_not_a_number() -> None:
    assert math.isnan(Change([0.0], [1.0]).ratio)


def test_excess_is_what_the_share_does_not_allow() -> None:
    assert Change([1.0, 2.0, 4.0], [1.03, 2.56, 9.0]).excess == pytest.approx(0.5)
    assert Change([2.0], [1.0]).excess == pytest.approx(-1.06)


@pytest.mark.parametrize(("after", "verdict"), [(97.0, "pass"), (96.9, "FAIL"), (120.0, "pass")])
def test_no_cell_may_fall(after: float, verdict: str) -> None:
    cell = Cell("SET", 50, 1)
    results = {cell: {"tendis before": rounds(100.0), "tendis": rounds(after)}}
    (goal,) = compare.change_goals(results, ["tendis"])
    assert goal.verdict == verdict
    assert goal.name.startswith(f"tendis: {cell}")
    row = compare.changes_table(results, ["tendis"]).splitlines()[-1]
    assert f"| {after / 100:.3f} |" in row


def test_isolation_is_compared_by_p99() -> None:
    def figures(p99: float) -> isolation.Figures:
        commands = ("get", "set", "ping", "info")
        return {command: {"p99": p99 * 1000, "max": 9000.0} for command in commands}

    results = {
        ("nothing", REDIS): [figures(1.0)],
        ("nothing", "tendis before"): [figures(1.0)],
        ("nothing", "tendis"): [figures(2.0)],
    }
    changes = isolation.changes(results)
    verdicts = [goal.verdict for goal in isolation.change_goals(changes)]
    assert verdicts == ["FAIL", "FAIL", "pass", "pass"]
    row = [cell.strip() for cell in isolation.changes_table(changes).splitlines()[2].split("|")]
    assert row[1:-1] == [
        *("nothing", "GET", "1.00", "2.00", "2.000", "2.00 to 2.00"),
        *("9.00", "9.00", "1.000", "1.00 to 1.00"),
    ]


def git(repository: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", *identity, *arguments], cwd=repository, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits, of which only the first has a tendis_py."""
    monkeypatch.setattr(revisions, "ROOT", tmp_path)
    package = tmp_path / "tendis_py" / "__init__.py"
    package.parent.mkdir()
    package.write_text("old = True\n")
    (tmp_path / "README.md").write_text("Stays.\n")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "First")
    git(tmp_path, "rm", "--quiet", "-r", "tendis_py")
    git(tmp_path, "commit", "--quiet", "-m", "Second")
    return tmp_path


def test_a_commit_gets_a_directory_for_a_while(repository: Path) -> None:
    with revisions.tree(revisions.commit("HEAD~1")) as directory:
        assert (directory / "tendis_py" / "__init__.py").read_text() == "old = True\n"
        assert not directory.is_relative_to(repository)
    assert not directory.exists()


def test_an_installed_package_does_not_stand_in_for_a_commit(repository: Path) -> None:
    with pytest.raises(SystemExit), revisions.tree(revisions.commit("HEAD")):
        pass


@pytest.mark.parametrize("revision", ["none-such", "--help", "HEAD^{tree}", ""])
def test_what_is_not_a_commit_is_refused(repository: Path, revision: str) -> None:
    with pytest.raises(ArgumentTypeError, match="not a commit"):
        revisions.commit(revision)


def test_a_comparison_does_not_replace_the_plain_result() -> None:
    assert revisions.kind("compare", None) == "compare"
    assert revisions.kind("compare", "abc1234") == "compare-before-after"
    assert "before" not in report.metadata()
    assert report.metadata("abc1234")["before"] == "abc1234"


def test_loads_make_every_element_once() -> None:
    for commands_of in collections.LOADS:
        numbers = iter(range(500))
        commands = collections._next_commands(numbers, commands_of)
        made = sum(len(command) for command in commands)
        assert made >= 500
        assert collections._next_commands(numbers, commands_of) == []


def test_every_operation_is_on_a_loaded_key() -> None:
    loaded = {commands_of([1])[0][1] for commands_of in collections.LOADS}
    for name, make in collections.OPERATIONS.items():
        command = make(3, 100)
        assert command[1] in loaded
        assert command[0].decode() == name.split()[0]


def test_timing_of_one_operation() -> None:
    timing = collections._timing("tendis", "ZRANK", [900, *[10] * 99], [5] * 100)
    assert (timing.first, timing.cold_p50, timing.cold_p99) == (900, 10, 10)
    assert (timing.warm_p50, timing.warm_p99) == (5, 5)


def test_memory_goal_takes_the_larger_size() -> None:
    data = memory.Data("tendis", 1, 1.0, 100_000_000, 1.0, 400_000_000)
    assert [goal.verdict for goal in memory.goals([], [data])] == ["FAIL"]


def test_keys_reply_size_is_exact() -> None:
    keys = isolation.scenarios(2)[1]
    reply = b"*2\r\n" + b"".join(b"$16\r\n%b\r\n" % wire.key(index) for index in range(2))
    assert keys.reply_size == len(reply)


def test_commands_are_resp() -> None:
    assert wire.set_command(7) == wire.command(b"SET", wire.key(7), wire.value(7))
    assert wire.get_command(7) == wire.command(b"GET", wire.key(7))
    assert (len(wire.key(10**7)), len(wire.value(10**7))) == (wire.KEY_SIZE, wire.VALUE_SIZE)
    assert wire.value(1) != wire.value(2)


def test_complete_replies() -> None:
    for whole in (b"+PONG\r\n", b"$0\r\n\r\n", b"$4\r\na\r\nb\r\n", b"$-1\r\n"):
        assert latency_client.is_complete(bytearray(whole))
        for size in range(1, len(whole)):
            assert not latency_client.is_complete(bytearray(whole[:size]))


@pytest.mark.parametrize("answer", [b"-ERR no\r\n", b"$-1\r\n", b"+OK\r\n+OK\r\n", b""])
def test_exchange_refuses_a_wrong_answer(answer: bytes) -> None:
    with socket.create_server((wire.HOST, 0)) as listener:

        def serve() -> None:
            served, _ = listener.accept()
            with served:
                served.recv(100)
                served.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        port = listener.getsockname()[1]
        with wire.Connection(port) as connection, pytest.raises(wire.WireError):
            connection.exchange(b"PING\r\n", len(wire.OK))
        server.join()


# Scenes

SMALL = Size(keys=200, share=0.0002)


@pytest.fixture(scope="module")
def both() -> Iterator[list[Server]]:
    """redis-server and tendis-py, with the keys and the fixtures that scenes need."""
    with revisions.running([DEFAULT_MODEL], None) as running:
        for server in running:
            wire.load(server.port, SMALL.keys)
            for requests in scenes.FIXTURES.values():
                scenes.send(server.port, requests(SMALL))
        yield running


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_scene_plays_twice(both: list[Server], scene: Scene) -> None:
    """What it needs is there, every reply is right for its kind, and it leaves nothing that the
    next round would stumble over."""
    act = scene.heavy(SMALL)
    for server in both:
        left = []
        for _ in range(2):
            scenes.send(server.port, scene.setup(SMALL))
            assert act(server.port) < wire.TIMEOUT
            scenes.send(server.port, scene.cleanup(SMALL))
            with collections.Client(server.port) as client:
                left.append(client.call(b"DBSIZE"))
        assert left[0] == left[1]


def test_scenes_have_names_of_their_own_and_fixtures() -> None:
    names = [scene.name for scene in SCENES]
    assert len({*names}) == len(names)
    assert {name for scene in SCENES for name in scene.fixtures} == {*scenes.FIXTURES}
    assert names[-1] == "flushall"  # it takes what the others need


def test_a_scene_is_measured_beside_a_light_client(both: list[Server]) -> None:
    (scene,) = (scene for scene in SCENES if scene.name == "sadd")
    besides = isolation.Stage(SMALL, both).play(scene, iter(range(2)))
    assert [beside.server for beside in besides] == [REDIS, DEFAULT_MODEL]
    for beside in besides:
        assert len(beside.seconds) == len(beside.figures) == 2
        for figures in beside.figures:
            assert [figures[name]["count"] > 0 for name in ("ping", "get", "set")] == [True] * 3
            assert figures["all"]["max"] == max(
                figures[name]["max"] for name in ("ping", "get", "set")
            )
    table = isolation.scenes_table(besides).splitlines()
    assert table[-1].startswith("| sadd ")


def test_a_scene_that_fails_does_not_end_the_run(
    both: list[Server], capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene("broken", "", scenes._one(b"NO-SUCH-COMMAND"))
    besides = isolation.Stage(SMALL, both).play(scene, iter(range(2)))
    assert "broken FAILED" in capsys.readouterr().err
    (goal,) = isolation.scene_goals(besides)
    assert goal.verdict == "not measured"
    assert len(isolation.scenes_table(besides).splitlines()) == 2


def test_a_scene_is_judged_by_the_median_of_its_longest_waits() -> None:
    def beside(server: str, *longest: float) -> isolation.Beside:
        figures = [{"all": {"p50": 1.0, "p99": 1.0, "max": it * 1000}} for it in longest]
        return isolation.Beside("mset", "MSET", server, [0.1] * len(longest), figures)

    (goal,) = isolation.scene_goals([beside(REDIS, 70.0), beside(DEFAULT_MODEL, 9.0, 30.0, 8.0)])
    assert (goal.value, goal.verdict) == (9.0, "pass")
    row = isolation.scenes_table([beside(DEFAULT_MODEL, 9.0, 30.0, 8.0)]).splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")][-3:-1] == ["9.00", "30.00"]


# cold


def test_caches_grow_with_the_data() -> None:
    assert cold.caches(5_000_000) == ("--cache-size", "64mb", "--block-cache-size", "32mb")
    assert cold.caches(200_000) == ("--cache-size", "2mb", "--block-cache-size", "1mb")
    assert cold.caches(10) == ("--cache-size", "1mb", "--block-cache-size", "1mb")


def test_written_bytes_are_those_that_reached_the_disk() -> None:
    io = "rchar: 1\nwchar: 22\nread_bytes: 3\nwrite_bytes: 4096\ncancelled_write_bytes: 5\n"
    assert cold.written_bytes(io) == 4096
    with pytest.raises(ValueError, match="does not count"):
        cold.written_bytes("rchar: 1\n")
    own = Path("/proc/self/io").read_text()
    assert cold.written_bytes(own) >= 0


def test_disk_bytes_are_those_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "one").write_bytes(b"x" * 10)
    (tmp_path / "two").write_bytes(b"y" * 5)
    assert cold.disk_bytes(tmp_path) == 15


def test_a_cold_ratio_is_the_median_of_the_rounds() -> None:
    rates = cold.Rates(Cell("GET", 50, 1), [100.0, 200.0, 50.0], [50.0, 20.0, 20.0])
    assert rates.ratio == 0.4  # neither 20 / 100, of the medians, nor the best or worst round


def test_cold_goals() -> None:
    loaded = [
        cold.Loaded(REDIS, 100_000.0, 900_000_000, 1, 1.0),
        cold.Loaded(cold.DEFAULT_MODEL, 29_000.0, 390_000_000, 1, 3.0),
    ]
    restarted = [
        cold.Restarted(REDIS, 9.0, 900_000_000),
        cold.Restarted(cold.DEFAULT_MODEL, 1.0, 410_000_000),
    ]
    points = [
        cold.Point(REDIS, "HGET", 9.0, 9.0),
        cold.Point(cold.DEFAULT_MODEL, "HGET", 0.4, 9.0),
    ]
    rates = [
        cold.Rates(Cell("GET", 50, 1), [100.0], [60.0]),
        cold.Rates(Cell("GET", 50, 16), [100.0], [10.0]),
    ]
    verdicts = {one.name: one.verdict for one in cold.goals(loaded, restarted, points, rates)}
    assert verdicts == {
        "loading at pipeline 64, ratio": "FAIL",
        "GET, 50 clients, pipeline 1, ratio": "pass",
        "cold HGET, median": "pass",
        "restart": "pass",
        "resident, at most": "FAIL",
    }


def test_results_do_not_name_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.publish("trial", tmp_path, {"Text": "none"}, [Goal("goal", 1.0, 2.0)], {"rows": []})
    files = sorted(path.suffix for path in tmp_path.iterdir())
    assert files == [".json", ".md"]
    for text in (capsys.readouterr().out, *(path.read_text() for path in tmp_path.iterdir())):
        assert "FAIL" in text
        assert socket.gethostname() not in text
        assert str(Path.home()) not in text
        assert str(ROOT) not in text


def test_scripts_are_judged_beside_redis_and_a_user_beside_the_default_one() -> None:
    def rounds(*rates: tuple[float, float]) -> compare.Rounds:
        own, theirs = zip(*rates, strict=True)
        return {
            name: [Measurement(rate, 1.0, 1.0, 1.0, 1.0) for rate in found]
            for name, found in (("tendis", own), (REDIS, theirs))
        }

    results = {
        Cell("EVALSHA", 50, 1): rounds((30.0, 100.0), (50.0, 100.0), (45.0, 100.0)),
        Cell("FCALL", 50, 16): rounds((10.0, 100.0)),
        Cell("GET", 50, 1): rounds((100.0, 400.0), (200.0, 400.0)),
        Cell("GET_AS_USER", 50, 1): rounds((80.0, 400.0), (190.0, 400.0)),
    }
    judged = [(goal.limit, goal.value, goal.verdict) for goal in scripting.goals(results, "tendis")]
    assert judged == [(0.4, 0.45, "pass"), (0.2, 0.1, "FAIL"), (0.9, 0.875, "FAIL")]


def test_scripts_and_users_are_measured() -> None:
    with servers.running(REDIS) as server:
        scripting.prepare(server)
        for test in (*scripting.TESTS, scripting.AS_USER):
            assert redis_benchmark.run(server, Cell(test, 2, 2), 100).rps > 0


def test_a_session_scene_is_judged_by_the_median_of_its_rounds() -> None:
    rounds = {
        REDIS: [sessions.Measurement(rate, 1.0) for rate in (100.0, 200.0, 50.0)],
        "tendis": [sessions.Measurement(rate, 2.0) for rate in (50.0, 20.0, 20.0)],
    }
    (goal,) = sessions.goals({"multi": rounds}, ["tendis"])
    assert (goal.value, goal.verdict) == (0.4, "FAIL")
    assert "| multi | transactions of 10 SETs | tendis" in sessions.table({"multi": rounds})


def test_a_session_scene_counts_what_is_answered() -> None:
    with servers.running(REDIS) as server:
        for scene in sessions.SCENES.values():
            assert sessions.play(server, scene, 0.05).rate > 0


def test_a_crowd_waits_and_listens() -> None:
    with servers.running(REDIS) as server:
        found = crowd.look_at(server, 20)
    assert found.message_ms > 0
    assert found.last_timeout_ms >= found.first_timeout_ms > -100
    own = crowd.Found("tendis", 20, 2048.0, 1024.0, 1.0, 1.0, 120.0, 5.0, 6.0)
    assert [goal.verdict for goal in crowd.goals([found, own])] == ["pass", "pass", "FAIL", "pass"]
    assert "| tendis | 2,048" in crowd.table([own])
