"""What Prometheus is told: it can be read, keeps to the conventions, and is what INFO says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families
from redis._parsers.helpers import parse_info

from tendis_py.http.metrics import exposition
from tendis_py.server import Server
from tendis_py.services import doctor
from tendis_py.services.histogram import record
from tests.support.embedded import config_for, embedded
from tests.support.programs import fetch, output, program
from tests.support.resp import RawClient, decode
from tests.support.servers import HOST, MODELS, free_port, wait_until

OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with embedded(config_for(tmp_path)) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[RawClient]:
    with RawClient((HOST, server.port)) as connected:
        yield connected


def use(client: RawClient) -> None:
    """Commands of some kinds, some of which fail."""
    for index in range(30):
        client.command("SET", f"key:{index}", "x")
        client.command("GET", f"key:{index}")
    client.command("SET", "due", "x", "EX", "1000")
    client.command("GET", "none")
    client.command("LPUSH", "due", "x")
    client.command("GET")
    client.command("FROBNICATE")


def read(server: Server, accept: str = "") -> list[Metric]:
    content, _ = exposition(server.services, accept)
    return list((open_families if accept else families)(content.decode()))


def figures(server: Server) -> Figures:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read(server)
        for sample in family.samples
    }


def figure(found: Figures, name: str, **labels: str) -> float:
    return found[f"tendis_py_{name}", frozenset(labels.items())]


def total(found: Figures, name: str, **labels: str) -> float:
    """Over all series that have these labels."""
    wanted = frozenset(labels.items())
    return sum(
        value
        for (of, having), value in found.items()
        if of == f"tendis_py_{name}" and wanted <= having
    )


@pytest.mark.parametrize("model", MODELS)
def test_both_formats_can_be_read(tmp_path: Path, model: str) -> None:
    with (
        embedded(config_for(tmp_path, threading_model=model)) as server,
        RawClient((HOST, server.port)) as client,
    ):
        use(client)
        plain = read(server)
        strictly = read(server, OPEN)  # whose parser checks types, order and histograms
        assert [family.name for family in strictly] == [family.name for family in plain]
    for family in plain:
        assert family.documentation, family.name
        assert family.name.startswith(("tendis_py_", "process_")), family.name
        series = [(sample.name, *sorted(sample.labels.items())) for sample in family.samples]
        assert len(series) == len(set(series)), family.name


def test_every_family_has_samples(server: Server, client: RawClient) -> None:
    use(client)
    wait_until(lambda: server.services.observatory.now().requests_per_second > 0, "a rate")
    empty = {family.name for family in read(server) if not family.samples}
    assert empty <= {"tendis_py_finding_share_ratio"}  # all may be well


def test_the_format_is_that_which_is_asked_for(server: Server) -> None:
    content, content_type = exposition(server.services)
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b"# EOF" not in content
    content, content_type = exposition(server.services, OPEN)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert content.endswith(b"# EOF\n")


def test_it_is_served_in_both_formats(tmp_path: Path) -> None:
    config = config_for(tmp_path, dashboard_port=str(free_port()))
    with embedded(config) as server, RawClient((HOST, server.port)) as client:
        client.command("SET", "key", "x")
        url = f"http://{HOST}:{server.dashboard.port}/metrics"
        for accept, parse in (("*/*", families), (OPEN, open_families)):
            found = {family.name: family for family in parse(fetch(url, accept))}
            assert found["tendis_py_keys"].samples[0].value == 1


def test_promtool_finds_nothing(server: Server, client: RawClient) -> None:
    promtool = program("promtool", "prometheus")
    use(client)
    content, _ = exposition(server.services)
    assert output(promtool, "check", "metrics", given=content) == ""


def test_it_says_what_info_says(server: Server, client: RawClient) -> None:
    use(client)
    text = decode(client.command("INFO", "everything")).decode()
    info = parse_info(text)  # type: ignore[no-untyped-call]
    found = figures(server)
    assert figure(found, "connected_clients") == info["connected_clients"] == 1
    assert figure(found, "keys", db="0") == info["db0"]["keys"] == 31
    assert figure(found, "expiring_keys", db="0") == info["db0"]["expires"] == 1
    assert figure(found, "keyspace_hits_total") == info["keyspace_hits"] == 30
    assert figure(found, "keyspace_misses_total") == info["keyspace_misses"] == 1
    assert figure(found, "errors_total", code="WRONGTYPE") == 1
    assert figure(found, "errors_total", code="ERR") == info["errorstat_ERR"]["count"] == 2
    assert figure(found, "command_failures_total", command="lpush") == 1
    assert figure(found, "command_rejections_total", command="get") == 1
    assert total(found, "memory_bytes") == pytest.approx(info["used_memory"], rel=0.05)
    for name in ("set", "get", "lpush"):
        calls = figure(found, "command_duration_seconds_count", command=name)
        assert calls == info[f"cmdstat_{name}"]["calls"]
        seconds = figure(found, "command_duration_seconds_sum", command=name)
        assert seconds == pytest.approx(info[f"cmdstat_{name}"]["usec"] / 1e6, abs=1e-6)


def test_it_says_of_stages_what_info_and_the_doctor_say(
    server: Server, client: RawClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(client)
    wait_until(lambda: bool(doctor.bottleneck(server.services.observatory.now())), "a bottleneck")
    observation = server.services.observatory.now()
    monkeypatch.setattr(server.services.observatory, "now", lambda: observation)
    found = figures(server)
    text = decode(client.command("INFO", "stages")).decode()
    info = parse_info(text)  # type: ignore[no-untyped-call]
    for stage in ("parse", "execute", "commit", "write"):
        requests = total(found, "stage_duration_seconds_count", stage=stage)
        assert 60 < requests <= info[f"stage_{stage}"]["calls"] <= requests + 1
        seconds = total(found, "stage_duration_seconds_sum", stage=stage)
        assert 0 < seconds < (info[f"stage_{stage}"]["usec"] + 1) / 1e6
    for stage in observation.whole_stages:
        for seconds, recent in stage.recent.items():
            labels = {"stage": stage.stage, "window": f"{seconds}s"}
            if recent.count:
                p99 = figure(found, "stage_recent_seconds", percentile="99", **labels)
                longest = figure(found, "stage_recent_max_seconds", **labels)
                assert (p99, longest) == (recent.p99_ns / 1e9, recent.max_ns / 1e9)
    shares = {
        dict(labels)["stage"]: share
        for (name, labels), share in found.items()
        if name == "tendis_py_stage_share_ratio"
    }
    assert sum(shares.values()) == pytest.approx(1)
    assert max(shares, key=lambda stage: shares[stage]) == doctor.bottleneck(observation)


def test_buckets_are_exact(server: Server) -> None:
    command = Named("get")
    buckets = server.services.stats.new_counters().buckets[command]
    for ns in (4095, 4096, 16383, 1 << 40):
        record(buckets, ns)
    found = figures(server)

    def up_to(end: str) -> float:
        return figure(found, "command_duration_seconds_bucket", command="get", le=end)

    assert [up_to(end) for end in ("4.096e-06", "1.6384e-05", "4.294967296", "+Inf")] == [
        1,
        3,
        3,
        4,
    ]
    assert figure(found, "command_duration_seconds_sum", command="get") == pytest.approx(1099.5116)


class Named:
    """Whatever has a name is counted as a command."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_resetstat_begins_anew(server: Server, client: RawClient) -> None:
    use(client)
    assert total(figures(server), "commands_total") > 60
    client.command("CONFIG", "RESETSTAT")
    wait_until(lambda: total(figures(server), "commands_total") < 10, "it counts from zero")
    found = figures(server)
    assert total(found, "stage_duration_seconds_count", stage="execute") < 10
    assert total(found, "command_duration_seconds_count", command="set") == 0
    assert total(found, "errors_total") == 0
    assert total(found, "keys") == 31  # what is so, not what was counted


def test_errors_by_hostile_clients_make_no_series(server: Server, client: RawClient) -> None:
    for index in range(1000):
        client.command(f"NO{index}")
    found = figures(server)
    assert total(found, "errors_total", code="ERR") == 1000
    assert len([key for key in found if key[0] == "tendis_py_errors_total"]) == 1
    assert not [key for key in found if ("command", "no1") in key[1]]


def test_all_commands_in_use_are_not_too_much(server: Server) -> None:
    counters = server.services.stats.new_counters()
    for index in range(240):
        record(counters.buckets[Named(f"command-{index}")], 1000)
    content, _ = exposition(server.services)
    assert content.count(b'command="command-239"') >= 15
    assert len(content) < 2_000_000
