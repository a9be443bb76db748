"""How the operator starts: what it waits for, what it says meanwhile, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import structlog

from testbed import eventually
from testbed.ports import free_ports
from wasmcloud_operator.kube.testing import Answer, NoAnswer, ScriptedApi, ScriptedApiServer
from wasmcloud_operator.operator import Operator
from wasmcloud_operator.settings import Settings

VERSION = {"major": "1", "minor": "28", "gitVersion": "v1.28.0"}
HTML = "<html>502 Bad Gateway</html>"


@asynccontextmanager
async def starting(kubeconfig: Path) -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Task[int]]]:
    (port,) = free_ports(1)
    settings = Settings(kubeconfig=kubeconfig, http_address=f"127.0.0.1:{port}", leader_election=False)
    stop = asyncio.Event()
    running = asyncio.create_task(Operator(settings).run(stop))
    try:
        yield f"http://127.0.0.1:{port}", stop, running
    finally:
        running.cancel()
        await asyncio.wait({running})


async def read(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def answers(url: str) -> bool:
    try:
        await read(url)
    except aiohttp.ClientConnectorError:
        return False
    return True


async def waits(url: str) -> bool:
    """Whether it is not ready, and names what it waits for."""
    status, text = await read(f"{url}/readyz")
    return status == 503 and "waits for the API server at http://127.0.0.1:" in text


@pytest.mark.parametrize("away", ["refuses connections", "answers nothing", "has a proxy before it"])
async def test_an_api_server_that_is_away_is_waited_for_with_the_probes_answering(tmp_path: Path, away: str):
    api = ScriptedApi()
    api.fail(*[NoAnswer() if away == "answers nothing" else Answer("any", 502, HTML)] * 100)
    async with ScriptedApiServer.serve(api) as server:
        kubeconfig = server.kubeconfig(tmp_path / "kubeconfig")
        if away == "refuses connections":
            (port,) = free_ports(1)
            kubeconfig.write_text(kubeconfig.read_text().replace(server.url, f"http://127.0.0.1:{port}"))
        async with starting(kubeconfig) as (url, stop, running):
            await eventually(lambda: answers(f"{url}/healthz"))
            assert (await read(f"{url}/healthz"))[0] == 200
            await eventually(lambda: waits(url))
            assert not running.done()
            stop.set()
            assert await asyncio.wait_for(running, 60) == 0


async def test_a_server_that_asks_to_wait_at_the_start_is_left_alone_for_that_long(tmp_path: Path):
    api = ScriptedApi()
    api.fail(Answer("any", 429, {"code": 429, "reason": "TooManyRequests"}, {"Retry-After": "1"}))
    api.fail(Answer("any", 200, VERSION))
    async with ScriptedApiServer.serve(api) as server, starting(server.kubeconfig(tmp_path / "kubeconfig")) as started:
        assert await asyncio.wait_for(started[2], 60) == 1  # of a version that is too old
    first, second = api.requests
    assert second.at - first.at >= 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("any", 404, HTML), "is no Kubernetes API server"),
        (Answer("any", 200, VERSION), "the operator needs Kubernetes 1.29"),
    ],
)
async def test_a_start_that_waiting_cannot_heal_ends_with_the_reason(tmp_path: Path, answer: Answer, reason: str):
    api = ScriptedApi()
    api.fail(answer)
    with structlog.testing.capture_logs() as logs:
        async with (
            ScriptedApiServer.serve(api) as server,
            starting(server.kubeconfig(tmp_path / "kubeconfig")) as (_, _, running),
        ):
            assert await asyncio.wait_for(running, 60) == 1
    assert len(api.requests) == 1
    assert reason in next(line["error"] for line in logs if line["event"] == "cannot start")


async def test_a_kubeconfig_that_does_not_exist_is_said_once(tmp_path: Path):
    with structlog.testing.capture_logs() as logs:
        async with starting(tmp_path / "none") as (_, _, running):
            assert await asyncio.wait_for(running, 60) == 1
    assert [line["error"] for line in logs if "error" in line] == [f"the kubeconfig {tmp_path / 'none'} does not exist"]
