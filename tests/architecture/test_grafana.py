"""The Grafana dashboard and the Prometheus rules ask for what /metrics has, and are documents their readers take."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from outlay_collector.metrics import FAMILIES

FOLDER = Path(__file__).parents[2] / "docs" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "outlay.json").read_text())
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]
# What a sample is called: a histogram's have names of their own, everything else is called as its family.
SAMPLES = {
    f"{name}{suffix}"
    for name, family in FAMILIES.items()
    for suffix in (("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",))
}


@pytest.mark.parametrize("expression", [*EXPRESSIONS, *(rule["expr"] for rule in RULES)])
def test_every_metric_that_is_asked_for_exists(expression: str) -> None:
    asked = set(re.findall(r"\boutlay_\w+", expression))
    assert asked
    assert asked <= SAMPLES
    assert expression.count("(") == expression.count(")")
    for counter in re.findall(r"\boutlay_\w+_total", expression):
        assert re.search(rf"(rate|increase)\({counter}", expression), (
            f"{counter} is a counter: only its growth says much"
        )


def test_every_metric_is_on_the_dashboard() -> None:
    asked = set(re.findall(r"\boutlay_\w+", " ".join(EXPRESSIONS)))
    assert {name for name in SAMPLES if name not in asked} == set()


def test_the_dashboard_has_what_grafana_asks_of_one() -> None:
    assert DASHBOARD["schemaVersion"] >= 36  # since then data sources are objects
    assert {"title", "uid", "panels", "templating", "time", "annotations"} <= set(DASHBOARD)
    assert "id" not in DASHBOARD  # the importing Grafana gives it
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    for panel in PANELS:
        assert panel["type"] in {"row", "stat", "timeseries", "bargauge", "table"}
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
            assert {"defaults", "overrides"} <= set(panel["fieldConfig"])
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "job"]


def test_panels_stand_in_the_grid_and_none_covers_another() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def test_every_rule_has_a_name_a_severity_and_a_sentence() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
