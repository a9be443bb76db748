"""A real Prometheus that scrapes a real operator: every panel and every alert finds its metrics.

DASHBOARD_PICTURE=docs/dashboard.png draws what was found (make dashboard-picture).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import math
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yaml
from drawing import draw

from support.lattice.jwt import Account
from support.operators.process import OperatorProcess
from support.sites.hostpools import secret
from support.sites.services import ServiceSite, http_components
from testbed import ControlPlane, Kwok, NatsServer, Server, eventually
from testbed.build import Progress
from testbed.node import needs
from testbed.ports import free_ports

pytestmark = pytest.mark.asyncio(loop_scope="module")

MONITORING = Path(__file__).parents[2] / "manifests" / "monitoring"
ALERTS = MONITORING / "alerts.yaml"


def _dashboard() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grafana_dashboard", MONITORING / "dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


ROWS = _dashboard().ROWS
PANELS = {panel.title: panel for panels in ROWS.values() for panel in panels}
RULES = {
    rule["alert"]: rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
}


def selectors(expression: str) -> list[str]:
    """The series that an expression reads, each as PromQL writes it."""
    return re.findall(
        r"\b((?:wasmcloud_operator|workqueue|controller_runtime|leader_election)_\w+(?:\{[^}]*\})?)", expression
    )


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    async def ask(self, path: str, **params: str) -> Any:
        """The data of an answer."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v1/{path}", params=params) as answer,
        ):
            body = await answer.json()
            assert body["status"] == "success", body
            return body["data"]

    async def values(self, expression: str) -> list[float]:
        """The values of an expression now."""
        found = (await self.ask("query", query=expression))["result"]
        return [float(series["value"][1]) for series in found]

    async def history(self, expression: str, *, seconds: float) -> list[dict[str, Any]]:
        """The series of an expression over the last seconds."""
        now = time.time()
        span = {"start": str(now - seconds), "end": str(now), "step": "1"}
        return list((await self.ask("query_range", query=expression, **span))["result"])

    async def ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError, AssertionError):
            return bool(await self.values("up == 1"))
        return False


@contextlib.asynccontextmanager
async def prometheus(folder: Path, target: str) -> AsyncIterator[Prometheus]:
    """Prometheus with our alerts, which scrapes that address each second."""
    needs.install(Progress(), {"prometheus": "prometheus"})
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {
                "job_name": "operator",
                "static_configs": [{"targets": [target], "labels": {"namespace": "operator-system"}}],
                "honor_labels": True,  # as in the chart's ServiceMonitor
            }
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (port,) = free_ports(1)
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus",
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    try:
        server = Prometheus(f"http://127.0.0.1:{port}")
        await eventually(server.ready, timeout=120, message=f"the operator is scraped, see {folder}")
        yield server
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _is_exposed(application: dict[str, Any]) -> bool:
    return any(each["readyEndpoints"] for each in application["status"].get("services") or ())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraped(
    crds: ControlPlane, kwok: Kwok, nats_server: NatsServer, wadm: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Prometheus]:
    """An operator that leads, with pools, hosts, an application with a Service, and credentials that end."""
    folder = tmp_path_factory.mktemp("monitoring")
    flags = ("--namespace", "default", "--ip-family", "ipv4")
    async with (
        crds.admin() as admin,
        OperatorProcess.start(crds.kubeconfig, folder, *flags) as operator,
        prometheus(folder, operator.address) as server,
        ServiceSite.open(admin, nats_server, replicas=2) as site,
    ):
        credentials = Account("tests").credentials("hub", lifetime=30 * 86400)
        await admin.create(secret(site.namespace, "hub", {"nats.creds": credentials}))
        await site.add_pool("guarded", lattice=f"{site.lattice.name}-guarded", secretName="hub")
        async with contextlib.AsyncExitStack() as hosts:
            for pod in await site.pods():
                await hosts.enter_async_context(site.host_on(pod))
            for name, port in (("hello", 8080), ("later", 8081)):
                await site.create(name, http_components(port), {"k8s.wasmcloud.dev/host-config": "pool"})
            for name in ("hello", "later"):
                await site.app(name, _is_exposed, timeout=45)
            yield server


@pytest.mark.parametrize("title", PANELS)
async def test_a_panel_of_the_dashboard_has_data(scraped: Prometheus, title: str) -> None:
    query = PANELS[title].query

    async def shown() -> bool:
        return any(not math.isnan(value) for value in await scraped.values(query))

    await eventually(shown, timeout=120, message=f"data of {title}: {query}")


async def test_the_namespace_of_a_series_is_the_objects_and_not_the_operators(scraped: Prometheus) -> None:
    found = (await scraped.ask("query", query="wasmcloud_operator_pool_hosts"))["result"]
    assert found
    assert "operator-system" not in {series["metric"]["namespace"] for series in found}


@pytest.mark.parametrize("alert", RULES)
async def test_an_alert_has_the_metrics_that_it_reads(scraped: Prometheus, alert: str) -> None:
    read = selectors(RULES[alert])
    assert read
    for series in read:
        # Of what an alert waits for, the other values are there: failed applications among all phases.
        name = re.sub(r'\{phase="Failed"\}', "", series).split("[")[0]
        await eventually(lambda name=name: scraped.values(name), timeout=120, message=f"series of {alert}: {name}")


async def test_prometheus_evaluates_every_alert_without_an_error(scraped: Prometheus) -> None:
    async def evaluated() -> dict[str, dict[str, Any]]:
        rules = [rule for group in (await scraped.ask("rules"))["groups"] for rule in group["rules"]]
        return {rule["name"]: rule for rule in rules if rule["health"] != "unknown"}

    await eventually(lambda: _has_all(evaluated), timeout=60, message="every rule is evaluated")
    found = await evaluated()
    assert set(found) == set(RULES)
    assert {rule["health"] for rule in found.values()} == {"ok"}
    assert "firing" not in {found[name]["state"] for name in ("WasmcloudOperatorLeaderAbsent", "WasmcloudWadmSilent")}


async def _minute_of(scraped: Prometheus) -> bool:
    (history,) = await scraped.history("up", seconds=300)
    return float(history["values"][-1][0]) - float(history["values"][0][0]) > 60


async def _has_all(evaluated: Any) -> bool:
    return set(await evaluated()) == set(RULES)


async def test_every_panel_can_be_drawn(scraped: Prometheus, tmp_path: Path) -> None:
    for title, panel in PANELS.items():
        await eventually(lambda query=panel.query: scraped.values(query), timeout=120, message=title)
    picture = os.environ.get("DASHBOARD_PICTURE", "")
    drawn = Path(__file__).parents[2] / picture if picture else tmp_path / "dashboard.png"
    if picture:
        # A minute of it, so that there is something to see.
        await eventually(lambda: _minute_of(scraped), timeout=120, interval=1, message="a minute was scraped")
    histories = {
        row: {
            panel.title: (panel.legend, panel.unit, await scraped.history(panel.query, seconds=90)) for panel in panels
        }
        for row, panels in ROWS.items()
    }
    assert draw(histories, drawn) == len(PANELS)
    assert drawn.read_bytes().startswith(b"\x89PNG")
