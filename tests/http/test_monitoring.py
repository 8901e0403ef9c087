"""examples/monitoring fits what the server tells; Prometheus and the Redis exporter, as Debian has
them, take it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from prometheus_client import ProcessCollector

from tendis_py.http.families import FAMILIES, Kind
from tests.support.programs import fetch, output, program, service
from tests.support.servers import (
    HOST,
    ROOT,
    ServerProcess,
    free_port,
    redis_process,
    running,
    tendis_process,
    wait_until,
)

MONITORING = ROOT / "examples" / "monitoring"
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
RULES = (MONITORING / "rules.yml").read_text(encoding="utf-8")
PASSWORD = "secret"
ALERTS = re.findall(r"- alert: (\w+)", RULES)
EXPRESSIONS = [
    (panel["title"], target["expr"], target["legendFormat"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
]


def exported() -> dict[str, set[str]]:
    """Name of a sample → names of its labels."""
    found: dict[str, set[str]] = {}
    for metric in ProcessCollector(registry=None).collect():
        found |= {sample.name: set(sample.labels) for sample in metric.samples}
    for families in FAMILIES.values():
        for family in families:
            labels = set(family.labels)
            if family.kind is Kind.HISTOGRAM:
                found[f"{family.full_name}_bucket"] = {*labels, "le"}
                found[f"{family.full_name}_sum"] = found[f"{family.full_name}_count"] = labels
            else:
                found[family.full_name] = labels
    return found


EXPORTED = exported()


def names_in(text: str) -> set[str]:
    return set(re.findall(r"\b(?:tendis_py|process)_\w+", text))


def filled_in(expression: str) -> str:
    """Without Grafana's variables."""
    return expression.replace("$__rate_interval", "5m").replace("$instance", ".*")


@pytest.mark.parametrize("file", ["rules.yml", "rules_test.yml", "grafana-dashboard.json"])
def test_every_metric_named_is_exported(file: str) -> None:
    named = names_in((MONITORING / file).read_text(encoding="utf-8"))
    assert named
    assert named <= EXPORTED.keys()


def test_every_label_in_the_dashboard_is_exported() -> None:
    for title, expression, legend in EXPRESSIONS:
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        wanted = {label.strip() for labels in grouped for label in labels.split(",")}
        wanted |= set(re.findall(r"\{\{(\w+)\}\}", legend))
        there = {label for name in names_in(expression) for label in EXPORTED[name]}
        assert wanted <= there, title


def test_panels_have_each_its_place() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_every_alert_is_tested() -> None:
    tests = (MONITORING / "rules_test.yml").read_text(encoding="utf-8")
    for alert in ALERTS:
        cases = tests.split(f"- alertname: {alert}\n")[1:]
        assert any("exp_alerts: []" in case.split("- alertname")[0] for case in cases), alert
        assert any("exp_labels" in case.split("- alertname")[0] for case in cases), alert


def test_promtool_finds_the_examples_right(tmp_path: Path) -> None:
    promtool = program("promtool", "prometheus")
    output(promtool, "check", "config", "prometheus.yml", cwd=MONITORING)
    output(promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yml", cwd=MONITORING)
    output(promtool, "test", "rules", "rules_test.yml", cwd=MONITORING)
    rules = [
        {"record": f"panel_{index}", "expr": filled_in(expression)}
        for index, (_, expression, _) in enumerate(EXPRESSIONS)
    ]
    dashboard = tmp_path / "dashboard.json"  # which is YAML, too
    dashboard.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    output(promtool, "check", "rules", dashboard)


class Prometheus:
    """One that runs, by its HTTP interface."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str) -> Any:
        answer = json.loads(fetch(f"{self._url}/api/v1/{path}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def value(self, expression: str) -> float | None:
        result = self.ask(f"query?query={quote(expression)}")["result"]
        return float(result[0]["value"][1]) if result else None


@contextlib.contextmanager
def prometheus(folder: Path, dashboard_port: int) -> Iterator[Prometheus]:
    """With the configuration of the examples, password included, but for the target and haste."""
    command = program("prometheus", "prometheus")
    config = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    config = config.replace(": 15s", ": 1s").replace(":8080", f":{dashboard_port}")
    config = re.sub(r"# (basic_auth:|  \w+:)", r"\1", config)
    config = config.replace("/etc/prometheus/tendis-py.password", str(folder / "password"))
    (folder / "password").write_text(PASSWORD)
    (folder / "prometheus.yml").write_text(config)
    (folder / "rules.yml").write_text(RULES)
    port = free_port()
    arguments = {
        "config.file": folder / "prometheus.yml",
        "storage.tsdb.path": folder / "prometheus-data",
        "web.listen-address": f"{HOST}:{port}",
    }
    flags = [f"--{name}={value}" for name, value in arguments.items()]
    url = f"http://{HOST}:{port}"
    with service([command, *flags], folder / "prometheus.log", f"{url}/-/ready"):
        yield Prometheus(url)


def test_prometheus_scrapes_it(tmp_path: Path) -> None:
    dashboard_port = free_port()
    arguments = ("--dashboard-port", str(dashboard_port), "--requirepass", PASSWORD)
    server = tendis_process(tmp_path, *arguments)
    with running(server), prometheus(tmp_path, dashboard_port) as seen, server.client() as client:
        client.command("AUTH", PASSWORD)
        for index in range(30):
            client.command("SET", f"key:{index}", "x")
        wait_until(
            lambda: seen.value('tendis_py_keys{job="tendis-py",db="0"}') == 30,
            "Prometheus has seen the keys",
            30.0,
        )
        assert seen.value('up{job="tendis-py"}') == 1
        (target,) = seen.ask("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        calls = seen.value('tendis_py_command_duration_seconds_count{command="set"}')
        assert calls == 30
        for title, expression, _ in EXPRESSIONS:
            assert "result" in seen.ask(f"query?query={quote(filled_in(expression))}"), title
        groups = seen.ask("rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert {rule["name"] for rule in rules} >= set(ALERTS)
        wait_until(
            lambda: all(
                rule["health"] == "ok"
                for group in seen.ask("rules")["groups"]
                for rule in group["rules"]
            ),
            "each rule has been evaluated",
            30.0,
        )


def exporter_metrics(server: ServerProcess, folder: Path) -> str:
    """What Debian's exporter for Redis makes of ``server``, asked for all that it can tell."""
    command = program("prometheus-redis-exporter", "prometheus-redis-exporter")
    port = free_port()
    arguments = {
        "redis.addr": f"redis://{HOST}:{server.port}",
        "web.listen-address": f"{HOST}:{port}",
        "check-keys": "db0=*",
        "count-keys": "db0=*",
        "check-streams": "db0=stream",
        "include-system-metrics": "true",
        "export-client-list": "true",
    }
    flags = [f"-{name}={value}" for name, value in arguments.items()]
    log = folder / "exporter.log"
    url = f"http://{HOST}:{port}"
    with service([command, *flags], log, f"{url}/health"):
        fetch(f"{url}/metrics")
        told = fetch(f"{url}/metrics")  # some are told of the scrape before
    said = log.read_text()
    assert "level=error" not in said
    assert "level=warning" not in said
    return told


def test_the_redis_exporter_finds_what_redis_has(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    theirs, ours = redis_process(folder), tendis_process(tmp_path)

    def series(told: str) -> set[str]:
        """Names of metrics, and what of their labels is no figure."""
        lines = [line.rpartition(" ")[0] for line in told.splitlines() if line[:1] not in "#"]
        return {
            line for line in lines if "instance_info" not in line and "clients_details" not in line
        }

    found = []
    with running(theirs), running(ours):
        for server in (theirs, ours):
            with server.client() as client:
                client.command("FLUSHALL")
                client.command("SET", "string", "x", "EX", "1000")
                client.command("LPUSH", "string", "x")
                client.command("XADD", "stream", "*", "field", "x")
                client.command("XGROUP", "CREATE", "stream", "group", "0")
                client.command("XREADGROUP", "GROUP", "group", "me", "STREAMS", "stream", ">")
            told = exporter_metrics(server, tmp_path)
            assert "\nredis_up 1\n" in told
            assert '\nredis_exporter_last_scrape_error{err=""} 0\n' in told
            found.append(series(told))
    assert not found[0] - found[1]
