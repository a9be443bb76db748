"""The machinery against a real control plane that is killed, stopped, compacted and cut off."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from support.kube.live import KubeLive, config_map, live_now, names
from testbed import ControlPlane, eventually
from wasmcloud_operator.kube.codec import Codec
from wasmcloud_operator.kube.errors import DeadlineExceeded
from wasmcloud_operator.kube.objects import Metadata
from wasmcloud_operator.kube.resources import CONFIG_MAP, Key

NAMESPACE = "faults"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    """One of our own, since it is hurt here; and one that lists in pages, since the shared one streams lists."""
    folder = tmp_path_factory.mktemp("faults")
    async with ControlPlane.start(folder, apiserver_args=("--feature-gates=WatchList=false",)) as running:
        await running.admin().create_namespace(NAMESPACE)
        yield running


@pytest_asyncio.fixture
async def live(plane: ControlPlane) -> AsyncIterator[KubeLive]:
    async with KubeLive.open(plane.kubeconfig) as made:
        yield made
    await plane.admin().delete_all("v1/ConfigMap", NAMESPACE)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


class Etcd:
    """etcd behind the API server's back, through its JSON gateway."""

    def __init__(self, plane: ControlPlane) -> None:
        self.url = f"http://127.0.0.1:{plane.etcd.ports[0]}/v3/kv"

    async def call(self, what: str, body: dict) -> dict:
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/{what}", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return json.loads(await answer.text())

    async def delete_config_map(self, name: str) -> None:
        path = base64.b64encode(f"/registry/configmaps/{NAMESPACE}/{name}".encode()).decode()
        assert (await self.call("deleterange", {"key": path}))["deleted"] == "1"

    async def move_on_and_compact(self) -> None:
        other = base64.b64encode(b"/unrelated").decode()
        for _ in range(20):
            revision = (await self.call("put", {"key": other, "value": other}))["header"]["revision"]
        await self.call("compaction", {"revision": revision, "physical": True})


async def test_a_server_without_watch_list_is_listed_in_pages(plane: ControlPlane, live: KubeLive):
    for number in range(3):
        await plane.admin().create(config_map(f"c{number}", NAMESPACE))
    informer = live.informer(namespaces=(NAMESPACE,))
    await live_now(informer)
    assert names(informer, NAMESPACE) == {"c0", "c1", "c2"}
    assert live.value("rest_client_requests_total", code="422", method="WATCH") == 1


async def test_apiserver_killed_and_started_again(plane: ControlPlane, live: KubeLive):
    informer = live.informer(namespaces=(NAMESPACE,))
    await live_now(informer)
    await plane.admin().create(config_map("before", NAMESPACE))
    await eventually(lambda: names(informer, NAMESPACE) == {"before"})
    await plane.apiserver.kill()
    await eventually(lambda: informer.problem)
    assert names(informer, NAMESPACE) == {"before"}, "the cache is kept, and said to be stale"
    await plane.apiserver.start()
    await plane.admin().create(config_map("after", NAMESPACE))
    await eventually(lambda: names(informer, NAMESPACE) == {"before", "after"}, timeout=150)
    await live_now(informer)
    assert live.deletes("before") == 0


async def test_a_compacted_history_is_answered_by_one_list(plane: ControlPlane, live: KubeLive):
    """The real 410: each object that vanished meanwhile is deleted exactly once."""
    for name in ("stays", "vanishes"):
        await plane.admin().create(config_map(name, NAMESPACE))
    informer = live.informer(namespaces=(NAMESPACE,))
    await live_now(informer)
    assert names(informer, NAMESPACE) == {"stays", "vanishes"}
    await plane.apiserver.kill()
    etcd = Etcd(plane)
    await etcd.delete_config_map("vanishes")
    await etcd.move_on_and_compact()
    await plane.apiserver.start()
    await eventually(lambda: names(informer, NAMESPACE) == {"stays"}, timeout=150)
    await live_now(informer)
    assert live.relists(informer) == 2
    assert live.deletes("vanishes") == 1
    assert live.deletes("stays") == 0


async def test_a_stopped_apiserver_is_noticed_and_resumed(plane: ControlPlane, live: KubeLive):
    """SIGSTOP: the kernel answers for the process, so that only the idle timer can notice."""
    informer = live.informer(namespaces=(NAMESPACE,), idle=6.0)
    await live_now(informer)
    plane.apiserver.pause()
    try:
        await eventually(lambda: informer.problem)
        # Every call ends by its deadline, also on connections that were open before.
        with pytest.raises((TimeoutError, DeadlineExceeded)):
            async with asyncio.timeout(1):
                await live.client.get(CONFIG_MAP, Key(NAMESPACE, "none"))
    finally:
        plane.apiserver.resume()
    await live_now(informer)
    await plane.admin().create(config_map("resumed", NAMESPACE))
    await eventually(lambda: names(informer, NAMESPACE) == {"resumed"})
    # Silence twice in a row is answered by a list, so one more than the first at most.
    assert live.relists(informer) <= 2


class Hole:
    """A TCP relay that can fall silent on the connections it has, without a FIN, and still take new ones."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.silent: set[asyncio.StreamWriter] = set()
        self.open: list[asyncio.StreamWriter] = []
        self.taken = 0
        self.port = 0

    def swallow(self) -> None:
        self.silent |= set(self.open)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Hole]:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self.open:
                writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.taken += 1
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self.target)
        self.open += [writer, upstream]
        await asyncio.gather(self._pump(reader, upstream), self._pump(upstream_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                if writer not in self.silent:
                    writer.write(data)
                    await writer.drain()
            if writer not in self.silent:
                writer.close()


async def test_a_black_hole_is_left_and_the_watch_resumed_without_a_list(plane: ControlPlane, tmp_path: Path):
    async with Hole(plane.apiserver.ports[0]).running() as hole:
        config = json.loads(plane.kubeconfig.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{hole.port}"
        path = tmp_path / "kubeconfig"
        path.write_text(json.dumps(config))
        async with KubeLive.open(path) as live:
            informer = live.informer(namespaces=(NAMESPACE,), idle=6.0)
            await live_now(informer)
            hole.swallow()
            await plane.admin().create(config_map("missed", NAMESPACE))
            await eventually(lambda: "missed" in names(informer, NAMESPACE))
            assert live.relists(informer) == 1
    await plane.admin().delete_all("v1/ConfigMap", NAMESPACE)


async def test_a_restart_makes_no_storm(plane: ControlPlane, live: KubeLive):
    """Ten informers, the API server away: at most three requests each in the first four seconds; no leak."""
    informers = [
        live.informer(namespaces=(NAMESPACE,), label_selector=f"number={n}", codec=Codec.of(Metadata))
        for n in range(10)
    ]
    for informer in informers:
        await live_now(informer)
    files = open_files()
    requests = live.requests()
    await plane.apiserver.kill()
    await asyncio.sleep(4)  # the span that is measured
    assert live.requests() - requests <= 3 * len(informers)
    assert open_files() <= files
    assert all(informer.problem for informer in informers)
    await plane.apiserver.start()
    await asyncio.gather(*(live_now(informer, timeout=150) for informer in informers))
    assert open_files() <= files + len(informers)
