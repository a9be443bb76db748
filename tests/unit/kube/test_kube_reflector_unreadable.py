"""Objects that cannot be decoded hide no other from the reflector."""

from __future__ import annotations

import pytest
import structlog
from msgspec import Raw

from support.kube.bench import KubeBench, synced
from support.kube.objects import WIDGET, key, widget
from wasmcloud_operator.kube.testing import ErrorEvent

DEEP = Raw(b"[" * 1_500 + b"]" * 1_500)


@pytest.mark.parametrize("watch_list", ["streamed", "refused"])
@pytest.mark.parametrize(
    "bad", [{"labels": ["not", "a", "map"]}, {"value": DEEP}], ids=["of another shape", "too deep"]
)
class TestObjectsThatCannotBeRead:
    @pytest.fixture(autouse=True)
    def _answers(self, bench: KubeBench, watch_list: str) -> None:
        bench.api.watch_list = watch_list

    async def test_they_hide_no_other(self, bench: KubeBench, bad: dict):
        bench.api.put(WIDGET, widget("bad", **dict(bad)))
        informer = await synced(bench)
        bench.api.put(WIDGET, widget("bad2", **dict(bad)))
        bench.api.put(WIDGET, widget("b"))
        await bench.clock.advance(1)
        assert sorted(obj.metadata.name for obj in informer.store) == ["a", "b"]
        assert not informer.problem
        assert bench.unreadable() == 2

    async def test_they_are_logged_once_for_each_state(self, bench: KubeBench, bad: dict):
        bench.api.put(WIDGET, widget("bad", **dict(bad)))
        with structlog.testing.capture_logs() as logs:
            informer = await synced(bench)
            for _ in range(3):
                bench.api.fail(ErrorEvent())
                bench.api.cut_streams()
                await bench.clock.until(lambda: not bench.api._faults and not informer.problem)
            bench.api.put(WIDGET, widget("bad", again=1, **dict(bad)))
            await bench.clock.advance(1)
        lines = [line for line in logs if "left out" in line["event"]]
        assert [line["object"] for line in lines] == ["ns/bad", "ns/bad"]

    async def test_an_object_that_becomes_unreadable_is_no_longer_held_and_is_seen_again_when_it_changes(
        self, bench: KubeBench, bad: dict
    ):
        informer = await synced(bench)
        bench.api.put(WIDGET, widget("a", **dict(bad)))
        await bench.clock.advance(1)
        assert key("a") not in informer.store
        bench.api.put(
            WIDGET, {**widget("a", value="mended"), "metadata": {"name": "a", "namespace": "ns", "labels": {}}}
        )
        await bench.clock.until(lambda: bench.equal(informer), within=1)
        assert bench.unreadable() == 0

    async def test_the_deletion_of_one_is_seen(self, bench: KubeBench, bad: dict):
        await synced(bench)
        bench.api.put(WIDGET, widget("a", **dict(bad)))
        await bench.clock.advance(1)
        assert bench.unreadable() == 1
        bench.api.remove(WIDGET, key("a"))
        await bench.clock.advance(1)
        assert bench.unreadable() == 0
