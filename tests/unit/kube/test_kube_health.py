from __future__ import annotations

import asyncio
import http.client
import json
from concurrent import futures

import aiohttp
import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube import health
from wasmcloud_operator.kube.controller import DONE, Controller
from wasmcloud_operator.kube.health import serve
from wasmcloud_operator.kube.metrics import Metrics

# The names by which dashboards for controller-runtime ask.
NAMES = (
    'controller_runtime_reconcile_total{controller="c",result="success"} 1.0',
    'controller_runtime_reconcile_total{controller="c",result="error"} 0.0',
    'controller_runtime_reconcile_errors_total{controller="c"} 0.0',
    'controller_runtime_reconcile_time_seconds_count{controller="c"} 1.0',
    'controller_runtime_active_workers{controller="c"} 0.0',
    'controller_runtime_max_concurrent_reconciles{controller="c"} 3.0',
    'workqueue_depth{name="c"} 1.0',
    'workqueue_adds_total{name="c"} 2.0',
    'workqueue_queue_duration_seconds_count{name="c"} 1.0',
    'workqueue_work_duration_seconds_count{name="c"} 1.0',
    'workqueue_unfinished_work_seconds{name="c"} 0.0',
    'workqueue_longest_running_processor_seconds{name="c"} 0.0',
    'workqueue_retries_total{name="c"} 0.0',
    'rest_client_requests_total{code="200",method="GET"} 1.0',
    "# TYPE rest_client_request_duration_seconds histogram",
    'leader_election_master_status{name="l"} 1.0',
)


async def get(address: str, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}{path}") as answer:
        return answer.status, await answer.text()


async def test_metrics_have_controller_runtimes_names():
    metrics, clock = Metrics(), VirtualClock()

    async def reconcile(_: str):
        return DONE

    controller = Controller("c", reconcile, clock=clock, metrics=metrics, workers=3)
    running = asyncio.create_task(controller.run())
    controller.start()
    controller.queue.add("key")
    await clock.settle()
    running.cancel()
    await asyncio.wait({running})
    controller.queue.add("waiting")
    metrics.requests.labels("200", "GET").inc()
    metrics.leader.labels("l").set(1)
    async with serve("127.0.0.1:0", metrics=metrics, alive=list, ready=list) as address:
        status, text = await get(address, "/metrics")
    assert status == 200
    assert [name for name in NAMES if name not in text] == []


async def test_probes_say_what_is_wrong_now():
    problems: list[str] = []
    async with serve("127.0.0.1:0", metrics=Metrics(), alive=list, ready=lambda: problems) as address:
        assert await get(address, "/readyz") == (200, "ok\n")
        problems.append("pods: 403 Forbidden")
        problems.append("nodes: not listed yet")
        assert await get(address, "/readyz") == (503, "pods: 403 Forbidden\nnodes: not listed yet\n")
        assert await get(address, "/healthz") == (200, "ok\n")
        problems.clear()
        assert await get(address, "/readyz") == (200, "ok\n")


async def test_a_stuck_loop_fails_the_liveness_probe():
    """The probe's own timeout, as the kubelet has one, runs out while the loop stands still."""

    def probe(address: str, timeout: float) -> int:
        host, port = address.split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
        connection.request("GET", "/healthz")
        return connection.getresponse().status

    async with serve("127.0.0.1:0", metrics=Metrics(), alive=list, ready=list) as address:
        assert await asyncio.to_thread(probe, address, 60.0) == 200
        with futures.ThreadPoolExecutor() as threads:
            probing = threads.submit(probe, address, 0.3)
            futures.wait([probing])  # blocks the loop until then: this is the fault
        with pytest.raises(TimeoutError):
            probing.result()


async def test_the_keys_are_shown_to_callers_on_this_host():
    state = {"controllers": {"a": {"keys": {"ns/b": {"waitsFor": "list of lattice x"}}}}}
    async with serve("127.0.0.1:0", metrics=Metrics(), alive=list, ready=list, debug=lambda: state) as address:
        status, text = await get(address, "/debug/keys")
    assert (status, json.loads(text)) == (200, state)


@pytest.mark.parametrize("remote", ["10.1.2.3", "fd00::1", "::ffff:10.1.2.3", None, "unix"])
def test_the_keys_are_shown_to_nobody_else(remote: str | None):
    assert not health._on_loopback(remote)
    assert all(health._on_loopback(here) for here in ("127.0.0.1", "127.8.0.1", "::1"))
