"""The Grafana dashboard and the Prometheus rules over what a collector at work really writes on /metrics.

Every expression is parsed as PromQL, and each metric and label it names is looked for in the samples. Where there is a
Prometheus (Debian's package `prometheus`; `OUTLAY_TEST_PROMETHEUS` names another folder) it is given three scrapes of
the collector, and every expression must give a series. No Grafana is started: its own model of a dashboard reads it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import promql_parser
import pytest
import yaml
from fastapi import FastAPI
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from outlay.losses import encode_losses
from outlay.tally import Loss, Who
from outlay_collector.metrics import FAMILIES
from outlay_collector.store.writing import Written
from outlay_collector.writer import OF_CALLS, OF_STEPS, Counters, NotStored, Writer
from prometheus_client.parser import text_string_to_metric_families

from tests.collector.sending import NOW_NS, PROTOBUF, Sent, chat, send
from tests.waiting import own_port

FOLDER = Path(__file__).parents[2] / "docs" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "outlay.json").read_text())
RULES = FOLDER / "alerts.yaml"
SCRAPES_S = (0, 30, 60)
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus adds to every sample, and that of its histograms."""


def asked() -> list[str]:
    """Every expression, with what Grafana puts in."""
    said = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    said += [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    return [each.replace("$job", ".*").replace("$__rate_interval", "2m") for each in said]


class _Full:
    """A database without room."""

    def write(self, reports: Sequence[object], received_at_ns: int) -> Written:
        raise OSError(28, "No space left on device")


def fail_to_commit(app: FastAPI, counters: Counters) -> None:
    writer = Writer(_Full(), lambda: NOW_NS, 10, app.state.running.metrics, counters=counters)
    writer.start()
    with pytest.raises(NotStored):
        writer.submit([object()]).result(60)
    writer.stop()


async def work(app: FastAPI, collector: httpx2.AsyncClient, turn: int) -> None:
    """Some of everything the collector counts."""
    unknown = chat(**{"gen_ai.request.model": "zeta-9", "gen_ai.response.model": "zeta-9"})
    said = chat(**{"outlay.feature": "chat"})
    for _ in range(2):
        await send(
            collector,
            Sent(trace=turn, span=1, attributes=said),
            Sent(trace=turn, span=2, attributes=TOOL),
            Sent(trace=turn, span=3, attributes=unknown),
            Sent(trace=turn, span=4, attributes=said, duration_ms=-1),
        )
    await collector.post("/v1/traces", content=b"\xff", headers=PROTOBUF)
    lost = encode_losses(Who("p1", "shop", "prod", NOW_NS), {Loss.QUEUE_FULL: turn})
    await collector.post("/v1/metrics", content=lost, headers=PROTOBUF)
    for counters in (OF_CALLS, OF_STEPS):
        fail_to_commit(app, counters)


@pytest.fixture
async def scrapes(app: FastAPI, collector: httpx2.AsyncClient) -> list[str]:
    """What /metrics said each time."""
    said = []
    for turn in range(1, len(SCRAPES_S) + 1):
        await work(app, collector, turn)
        said.append((await collector.get("/metrics")).text)
    return said


def test_grafanas_own_model_reads_the_whole_dashboard_and_loses_nothing() -> None:
    register_default_plugins()
    again = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(json.loads(json.dumps(DASHBOARD)))))
    assert list(lost(DASHBOARD, again, "")) == []


def lost(before: Any, after: Any, path: str) -> Iterator[str]:
    """The places where `after` lacks what `before` says."""
    if isinstance(before, dict):
        for key, value in before.items():
            yield from lost(value, after.get(key) if isinstance(after, dict) else None, f"{path}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}/{index}")
    elif before != after:
        yield path


async def test_every_metric_and_label_that_is_asked_for_is_written(scrapes: list[str]) -> None:
    written: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(scrapes[-1]):
        for sample in family.samples:
            written.setdefault(sample.name, set()).update(sample.labels)
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in written} == set(FAMILIES)
    for expression in asked():
        promql_parser.parse(expression)
        names = set(re.findall(r"\boutlay_\w+", expression))
        labels = {label for group in re.findall(r"by \(([^)]*)\)", expression) for label in re.split(r",\s*", group)}
        labels |= set(re.findall(r"(\w+)\s*=~?\"", expression)) | set(re.findall(r"(\w+)!=\"", expression))
        known = set.union(*(written[name] for name in names)) | OF_PROMETHEUS
        assert labels <= known, expression


def prometheus(program: str) -> str:
    found = shutil.which(program, path=os.environ.get("OUTLAY_TEST_PROMETHEUS") or None)
    if found is None:
        pytest.skip(f"no {program} here; Debian's package prometheus has one, OUTLAY_TEST_PROMETHEUS names its folder")
    return found


def test_prometheus_takes_the_rules() -> None:
    subprocess.run([prometheus("promtool"), "check", "rules", str(RULES)], check=True, capture_output=True)


@pytest.fixture
def server(scrapes: list[str], tmp_path: Path) -> Iterator[str]:
    """A Prometheus that has scraped the collector three times."""
    program, tool = prometheus("prometheus"), prometheus("promtool")
    began = NOW_NS // 1_000_000_000
    samples = sorted(
        (
            f"{sample.name}{braced({**sample.labels, 'job': 'outlay', 'instance': 'a:4318'})}",
            began + second,
            sample.value,
        )
        for second, text in zip(SCRAPES_S, scrapes, strict=True)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    )
    lines = [f"{series} {value} {at_s}" for series, at_s, value in samples]
    (tmp_path / "scrapes.txt").write_text("\n".join([*lines, "# EOF", ""]))
    (tmp_path / "prometheus.yml").write_text("")
    data = tmp_path / "data"
    subprocess.run(
        [tool, "tsdb", "create-blocks-from", "openmetrics", tmp_path / "scrapes.txt", data],
        check=True,
        capture_output=True,
    )
    options = [
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
    ]
    with (
        own_port() as port,
        subprocess.Popen(
            [program, *options, f"--web.listen-address=127.0.0.1:{port}"],
            stdout=sys.stdout,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        assert any("Server is ready to receive web requests" in line for line in process.stderr)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.stderr.read()


def braced(labels: dict[str, str]) -> str:
    said = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
    return f"{{{said}}}"


def test_every_panel_and_rule_has_figures_in_a_real_prometheus(server: str) -> None:
    now = str(NOW_NS // 1_000_000_000 + SCRAPES_S[-1])
    with httpx2.Client(timeout=60) as client:
        for expression in asked():
            bare = re.sub(r"\s[<>=]=?\s[0-9.]+$", "", expression)  # a rule that does not fire gives no series
            answer = client.get(f"{server}/api/v1/query", params={"query": bare, "time": now}).json()
            assert answer["status"] == "success", (expression, answer)
            values = [float(sample["value"][1]) for sample in answer["data"]["result"]]
            assert values, expression
            assert all(value == value for value in values), expression  # no NaN
        spent = client.get(f"{server}/api/v1/query", params={"query": asked()[0], "time": now}).json()
    # A chat with gpt-4o before each scrape: 1000 x $2.50 + 100 x $10 for a million. The ledger is measured at
    # the first, and at another only where 30 s have passed.
    assert float(spent["data"]["result"][0]["value"][1]) in (0.0035, 0.007, 0.0105)
