"""The manager: the order of start and stop, what it says meanwhile, the table of informers; by an operator on it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.kube import example_operator
from support.kube.bench import WIDGETS, KubeBench
from support.kube.example_operator import LOCK, mirror_operator
from support.kube.objects import WIDGET
from support.kube.replicas import given_back
from testbed import eventually
from wasmcloud_operator.kube.codec import UNSTRUCTURED
from wasmcloud_operator.kube.manager import ContradictoryRequests, Informers, Manager
from wasmcloud_operator.kube.namespaces import Scope
from wasmcloud_operator.kube.resources import CONFIG_MAP, LEASE, Key
from wasmcloud_operator.kube.testing import Answer, ScriptedApi, ScriptedApiServer

SOURCE, COPY = Key("ns", "settings"), Key("ns", "settings-mirror")


def source(**data: str) -> dict:
    return {
        "metadata": {"name": SOURCE.name, "namespace": SOURCE.namespace, "labels": {"mirror": "source"}},
        "data": data,
    }


class Running:
    def __init__(self, bench: KubeBench, identity: str = "one") -> None:
        self.bench = bench
        self.stop = asyncio.Event()
        self.manager: Manager = mirror_operator(bench.client, identity, clock=bench.clock)
        self.task = bench.start(self.manager.run(self.stop))

    async def copied(self, **data: str) -> None:
        api = self.bench.api
        await self.bench.clock.until(lambda: (api.get(CONFIG_MAP, COPY) or {}).get("data") == data, within=60)


async def test_an_operator_on_it_does_its_work_and_ends_in_order(bench: KubeBench):
    bench.api.put(CONFIG_MAP, source(a="1"))
    running = Running(bench)
    await running.copied(a="1")
    bench.api.put(CONFIG_MAP, source(a="2"))
    await running.copied(a="2")
    bench.api.remove(CONFIG_MAP, COPY)
    await running.copied(a="2")
    assert running.manager.problems == running.manager.notes == []
    running.stop.set()
    await bench.clock.until(running.task.done)
    assert running.task.exception() is None
    lease = bench.api.get(LEASE, LOCK)
    assert lease is not None
    assert not lease["spec"]["holderIdentity"], "the Lease is given back"
    bench.api.put(CONFIG_MAP, source(a="3"))
    await bench.clock.advance(60)
    assert bench.api.get(CONFIG_MAP, COPY)["data"] == {"a": "2"}


async def test_nothing_is_written_before_every_cache_is_filled_and_it_says_which_is_not(bench: KubeBench):
    bench.api.put(CONFIG_MAP, source(a="1"))
    running = Running(bench)
    assert any("not started" in problem for problem in running.manager.problems)
    bench.api.fail(*[Answer("any", 403, {"code": 403, "reason": "Forbidden", "message": "no"})] * 3)
    await bench.clock.advance(0.5)
    assert any("configmaps" in problem and "Forbidden" in problem for problem in running.manager.problems)
    assert not [r for r in bench.api.requests if r.method != "GET"]
    await running.copied(a="1")


async def test_a_standby_fills_its_caches_and_takes_over_what_was_missed(bench: KubeBench):
    bench.api.put(CONFIG_MAP, source(a="1"))
    one = Running(bench)
    await one.copied(a="1")
    two = Running(bench, "two")
    await bench.clock.until(lambda: not two.manager.problems)
    assert not two.manager.leading
    one.task.cancel()
    await asyncio.wait({one.task})
    bench.api.put(CONFIG_MAP, source(a="2"))
    await two.copied(a="2")
    assert two.manager.leading


async def test_a_stop_before_it_leads_ends_it(bench: KubeBench):
    one, two = Running(bench), Running(bench, "two")
    await bench.clock.until(lambda: one.manager.leading or two.manager.leading)
    standby = two if one.manager.leading else one
    standby.stop.set()
    await bench.clock.until(standby.task.done, within=5)
    assert standby.task.exception() is None


async def test_who_needs_no_election_is_shown_as_leading(bench: KubeBench):
    scope = Scope(bench.client, (), bench.clock, bench.metrics)
    informers = Informers(client=bench.client, scope=scope, clock=bench.clock, metrics=bench.metrics)
    manager = Manager(informers, ())
    bench.start(manager.run(asyncio.Event()))
    await bench.clock.until(lambda: manager.leading)
    assert bench.metrics.registry.get_sample_value("leader_election_master_status", {"name": ""}) == 1


@pytest.mark.parametrize("turns", range(20))
async def test_a_stop_in_any_moment_of_the_start_leaves_the_lease_to_others(bench: KubeBench, turns: int):
    bench.api.put(CONFIG_MAP, source(a="1"))
    given_back(bench.api, LOCK)
    running = Running(bench)
    for _ in range(turns):
        await asyncio.sleep(0)
    running.stop.set()
    await bench.clock.until(running.task.done, within=10)
    assert running.task.exception() is None
    assert not bench.api.get(LEASE, LOCK)["spec"]["holderIdentity"]


async def test_the_example_serves_its_probes_over_sockets(tmp_path: Path):
    api = ScriptedApi()
    api.put(CONFIG_MAP, source(a="1"))
    stop = asyncio.Event()
    async with ScriptedApiServer.serve(api) as server:
        running = asyncio.create_task(example_operator.main(server.kubeconfig(tmp_path / "kubeconfig"), "one", stop))
        await eventually(lambda: api.get(CONFIG_MAP, COPY) is not None)
        stop.set()
        await asyncio.wait_for(running, 60)


def test_the_example_is_as_short_as_is_promised():
    """Sixty lines, imports and blank lines not counted."""
    lines = Path(example_operator.__file__).read_text().splitlines()
    assert len([line for line in lines if line and not line.startswith(("from ", "import "))]) <= 60


class TestTheTableOfInformers:
    @pytest.fixture
    def informers(self, bench: KubeBench) -> Informers:
        return Informers(
            client=bench.client,
            scope=Scope(bench.client, (), bench.clock, bench.metrics),
            clock=bench.clock,
            metrics=bench.metrics,
        )

    def test_the_same_request_gives_the_same_informer(self, informers: Informers):
        first = informers.get(WIDGET, WIDGETS, label_selector="a=b", indexers={"name": str})
        assert informers.get(WIDGET, WIDGETS, label_selector="a=b", indexers={"name": str}) is first
        assert informers.made(WIDGET) is first
        assert informers.get(WIDGET, WIDGETS, purpose="another") is not first

    @pytest.mark.parametrize(
        "other",
        [
            {"label_selector": "a=c"},
            {"indexers": {"name": repr}},
            {"indexers": {}},
            {"namespaces": ("ns",)},
            {"metadata_only": True},
            {"optional": True},
            {"widen": 3},
        ],
        ids=str,
    )
    def test_another_request_for_the_same_informer_is_refused(self, informers: Informers, other: dict):
        request = {"label_selector": "a=b", "indexers": {"name": str}}
        informers.get(WIDGET, WIDGETS, **request)
        with pytest.raises(ContradictoryRequests, match=r"widgets\.tests\.example\.com"):
            informers.get(WIDGET, WIDGETS, **{**request, **other})

    def test_another_codec_is_another_request(self, informers: Informers):
        informers.get(WIDGET, WIDGETS)
        with pytest.raises(ContradictoryRequests):
            informers.get(WIDGET, UNSTRUCTURED)

    def test_an_informer_that_nobody_has_made_is_not_there(self, informers: Informers):
        with pytest.raises(KeyError):
            informers.made(WIDGET)
