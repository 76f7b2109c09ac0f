"""The Grafana dashboard shows exactly the metrics that the code exports, by their labels."""

import json
import re
from pathlib import Path
from typing import get_args

from ray.dashboard.modules.metrics.grafana_dashboard_factory import (
    generate_data_grafana_dashboard,
    generate_default_grafana_dashboard,
    generate_train_grafana_dashboard,
)

from actors import metrics
from otcondense.store import UnitState

DASHBOARD = json.loads(Path("cluster/grafana/otcondense.json").read_text())
EXPORTED = {
    f"ray_{metrics.UNITS}": {"stage", "state"},
    f"ray_{metrics.SWAPS}_total": {"stage"},
    f"ray_{metrics.REQUEUED}_total": {"stage"},
    f"ray_{metrics.SECONDS}_bucket": {"stage", "le"},
    f"ray_{metrics.SECONDS}_count": {"stage"},
}


def expressions() -> list[str]:
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return queries + [
        variable["query"]
        for variable in DASHBOARD["templating"]["list"]
        if variable["type"] == "query"
    ]


def test_every_metric_exists_and_every_metric_is_shown() -> None:
    asked = {name for query in expressions() for name in re.findall(r"\bray_\w+", query)}
    assert asked == set(EXPORTED)


def test_every_label_and_state_exists() -> None:
    for query in expressions():
        for name, selector in re.findall(r"(ray_\w+)\{([^}]*)\}", query):
            labels = dict(re.findall(r'(\w+)=~?"([^"]*)"', selector))
            assert set(labels) <= EXPORTED[name], query
            assert set(labels.get("state", "done").split("|")) <= set(get_args(UnitState)), query
        for grouping in re.findall(r"by \((\w+)\)", query):
            assert grouping in {"state", "le"}


def test_panels_do_not_overlap() -> None:
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_links_lead_to_dashboards_that_ray_writes() -> None:
    linked = {link["url"].removeprefix("/d/") for link in DASHBOARD["links"]}
    written = {
        generate()[1]
        for generate in (
            generate_default_grafana_dashboard,
            generate_data_grafana_dashboard,
            generate_train_grafana_dashboard,
        )
    }
    assert linked == written
