"""The Grafana dashboard as code: python manifests/monitoring/dashboard.py [--check] writes dashboard.json beside it."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, Row
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef

OUTPUT = Path(__file__).with_name("dashboard.json")
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True)
class Graph:
    """One panel: a title, a unit of Grafana's, a PromQL query and the legend of its series."""

    title: str
    query: str
    legend: str
    unit: str = "short"


def _own(series: str) -> str:
    """Returns the series of this operator alone; other controllers have metrics of those names too."""
    return f"({series} and on (job, instance) wasmcloud_operator_build_info)"


ROWS: dict[str, tuple[Graph, ...]] = {
    "Pools": (
        Graph(
            "Hosts by state",
            "sum by (state) (max by (namespace, name, state) (wasmcloud_operator_pool_hosts))",
            "{{state}}",
        ),
        Graph(
            "Hosts missing from their lattice",
            'max by (namespace, name) (wasmcloud_operator_pool_hosts{state="desired"}) - '
            'max by (namespace, name) (wasmcloud_operator_pool_hosts{state="in_lattice"})',
            "{{namespace}}/{{name}}",
        ),
        Graph(
            "Lattice and wadm in reach",
            "max by (namespace, name, condition) "
            '(wasmcloud_operator_pool_condition{condition=~"LatticeConnected|WadmConnected"})',
            "{{condition}} {{namespace}}/{{name}}",
        ),
        Graph("Hosts by version", "max by (lattice, version) (wasmcloud_operator_hosts)", "{{version}} {{lattice}}"),
    ),
    "Applications": (
        Graph(
            "Applications by phase",
            "sum by (phase) (max by (lattice, phase) (wasmcloud_operator_applications))",
            "{{phase}}",
        ),
        Graph(
            "Ready endpoints",
            "max by (lattice) (wasmcloud_operator_application_service_endpoints_ready)",
            "{{lattice}}",
        ),
    ),
    "Operator": (
        Graph("Keys that wait", _own("workqueue_depth"), "{{name}}"),
        Graph(
            "Reconciles a second",
            f"sum by (controller, result) {_own('rate(controller_runtime_reconcile_total[5m])')}",
            "{{controller}} {{result}}",
            "ops",
        ),
        Graph(
            "Reconcile time, 99th percentile",
            "histogram_quantile(0.99, sum by (controller, le) "
            f"{_own('rate(controller_runtime_reconcile_time_seconds_bucket[5m])')})",
            "{{controller}}",
            "s",
        ),
        Graph(
            "Requests to the API server a second",
            f"sum by (method, code) {_own('rate(rest_client_requests_total[5m])')}",
            "{{method}} {{code}}",
            "ops",
        ),
        Graph("Leader", _own("leader_election_master_status"), "{{instance}}"),
        Graph(
            "Resident memory",
            _own("process_resident_memory_bytes"),
            "{{instance}}",
            "bytes",
        ),
    ),
}


def queries() -> list[str]:
    """Returns every query of the dashboard, for tests against a real Prometheus."""
    return [graph.query for graphs in ROWS.values() for graph in graphs]


def dashboard() -> str:
    """Returns the dashboard as Grafana's JSON."""
    builder = (
        Dashboard("wasmCloud operator")
        .uid("wasmcloud-operator")
        .tags(["wasmcloud"])
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
    )
    for title, graphs in ROWS.items():
        builder = builder.with_row(Row(title))
        for graph in graphs:
            builder = builder.with_panel(_panel(graph))
    return json.dumps(builder.build(), sort_keys=True, indent=1, cls=JSONEncoder) + "\n"


def _panel(graph: Graph) -> Panel:
    query = Dataquery().expr(graph.query).legend_format(graph.legend)
    legend = VizLegendOptions().display_mode(LegendDisplayMode.LIST).show_legend(show_legend=True)
    return (
        Panel()
        .title(graph.title)
        .unit(graph.unit)
        .datasource(_SOURCE)
        .span(12)
        .height(7)
        .min(0)
        .with_target(query)
        .legend(legend)
    )


def main(arguments: list[str]) -> int:
    """Writes the file, or with --check compares it; the exit code is 1 when it is out of date."""
    text = dashboard()
    if "--check" in arguments:
        if not OUTPUT.exists() or OUTPUT.read_text(encoding="utf-8") != text:
            sys.stdout.write(f"{OUTPUT} differs from dashboard.py: run `make manifests`\n")
            return 1
        return 0
    OUTPUT.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
