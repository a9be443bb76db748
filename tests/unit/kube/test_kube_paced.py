"""Whatever is written and set back by somebody else is put right at once, and then later and later."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

import wasmcloud_operator
from support.kube.bench import WIDGETS, KubeBench
from support.kube.objects import WIDGET, key
from wasmcloud_operator.kube.conditions import Condition, to_status
from wasmcloud_operator.kube.contest import WriteTarget
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.paced import PacedWrites
from wasmcloud_operator.kube.status_part import StatusPart
from wasmcloud_operator.kube.store import Change
from wasmcloud_operator.kube.timestamps import rfc3339

WANTED = {"phase": "Ready"}


class Recorder:
    def __init__(self):
        self.events = []

    def event(self, resource, regarding, type_, reason, note, *, action):
        self.events.append((str(regarding.key), type_, reason, note))


class World:
    """A widget whose status is written whenever it is looked at."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench, self.recorder = bench, Recorder()
        bench.api.put(WIDGET, {"metadata": {"name": "w", "namespace": "ns"}, "spec": {}})
        self.informer = bench.informer()
        self.paced = PacedWrites(bench.client, clock=bench.clock, recorder=self.recorder)
        self.part = StatusPart(resource=WIDGET, codec=WIDGETS, paced=self.paced, client=bench.client)

    async def look(self, status: dict = WANTED) -> bool:
        item = self.informer.store.get(key("w"))
        written = await self.part.write(item, item.status or {}, status)
        if written is not None:
            self.informer.offer(written)
        return written is not None

    async def others(self, fields: dict, *, manager: str = "other", **status) -> None:
        """Another controller writes these fields of the status under its own name."""
        body = self.bench.api.get(WIDGET, key("w"))
        entry = {"manager": manager, "operation": "Update", "time": "2026-01-01T00:00:00Z", "fieldsV1": fields}
        metadata = {**body["metadata"], "managedFields": [entry]}
        self.bench.api.put(WIDGET, {**body, "metadata": metadata, "status": {**body.get("status", {}), **status}})
        await self.bench.clock.settle()

    def patches(self) -> int:
        sent = sum(request.method == "PATCH" for request in self.bench.api.requests)
        self.bench.api.requests.clear()
        return sent


PHASE = {"f:status": {"f:phase": {}}}
PLACE = WriteTarget(WIDGET, key("w"), "status")


@pytest.fixture
async def world(bench: KubeBench) -> World:
    made = World(bench)
    await bench.clock.until(lambda: made.informer.synced)
    bench.api.requests.clear()
    return made


async def test_a_status_is_written_only_when_it_differs(world: World):
    assert await world.look()
    assert not await world.look()
    assert world.patches() == 1
    assert world.bench.api.get(WIDGET, key("w"))["status"] == WANTED
    assert await world.look({"phase": "Failed"})


async def test_a_status_that_is_set_back_again_and_again_is_written_every_five_minutes(world: World):
    await world.look()
    world.patches()
    for _ in range(1200):
        await world.others(PHASE, phase="Theirs")
        await world.look()
        await world.bench.clock.advance(1)
    assert 8 <= world.patches() <= 13, "after 1, 2, 4, … seconds and then every five minutes"
    assert 0 < (world.part.again(world.informer.store.get(key("w"))) or 0) <= 300
    about = {event[:3] for event in world.recorder.events}
    assert about == {("ns/w", "Warning", "SetBack")}
    assert world.recorder.events[-1][3].startswith("Widget ns/w: .status.phase is set back by field manager other")
    assert len(world.recorder.events) <= 13, "an Event goes along with a write"


async def test_a_part_that_is_written_under_another_name_of_ours_is_not_set_back_by_that(world: World):
    world.part.field_manager = "ours-too"
    for _ in range(20):
        await world.look()
        await world.others(PHASE, manager="ours-too", phase="as a webhook has it")
        await world.bench.clock.advance(1)
    (note,) = {note for *_, note in world.recorder.events}
    assert "is set back by an admission webhook or the API server itself" in note


async def test_a_condition_that_is_set_back_is_the_same_wish_though_its_moment_is_another(world: World):
    def conditions(status: str, held: list) -> list:
        return to_status([Condition("Ready", status, "Done")], held, 1, world.bench.clock.now())

    await world.look({"conditions": conditions("True", [])})
    world.patches()
    field = {"f:status": {"f:conditions": {'k:{"type":"Ready"}': {"f:status": {}}}}}
    for _ in range(300):
        await world.others(field, conditions=conditions("False", []))
        held = world.informer.store.get(key("w")).status["conditions"]
        await world.look({"conditions": conditions("True", held)})
        await world.bench.clock.advance(1)
    assert world.patches() <= 10
    (contested, *_) = world.paced.contests.of([PLACE])
    assert (contested.path, contested.by) == (".status.conditions[Ready].status", "other")


async def test_another_wish_is_written_at_once(world: World):
    await world.look()
    for _ in range(10):
        await world.others(PHASE, phase="Theirs")
        await world.look()
    world.patches()
    assert not await world.look()
    assert await world.look({"phase": "Failed"})
    assert world.patches() == 1


async def test_fields_that_others_add_to_a_status_are_left_alone(world: World):
    await world.look()
    await world.others({"f:status": {"f:extra": {}}}, extra="theirs")
    assert not await world.look()
    assert await world.look({"phase": "Failed"})
    assert world.paced.contests.of([PLACE]) == []


async def test_a_status_of_an_earlier_life_loses_what_is_no_longer_wanted(world: World):
    await world.look({**WANTED, "former": "ours"})
    again = StatusPart(
        resource=WIDGET,
        codec=WIDGETS,
        paced=PacedWrites(world.bench.client, clock=world.bench.clock),
        client=world.bench.client,
    )
    item = world.informer.store.get(key("w"))
    assert await again.write(item, item.status, WANTED) is not None
    item = world.informer.store.get(key("w"))
    assert await again.write(item, {**WANTED, "extra": "theirs"}, WANTED) is None


class Late:
    """A client whose answers take five seconds."""

    def __init__(self, bench: KubeBench) -> None:
        self._bench = bench

    async def apply(self, *arguments, **named) -> CustomResource:
        written = await self._bench.client.apply(*arguments, **named)
        await self._bench.clock.sleep(5)
        return written


def brings_no_look(world: World, change: Change[CustomResource]) -> bool:
    return world.part.is_all_of(change, change.item.status or {})


async def test_a_change_that_is_all_our_own_write_is_known_whoever_reports_it_first(world: World):
    seen: list[bool] = []
    world.informer.on_change(lambda change, _: seen.append(brings_no_look(world, change)))
    await world.look()
    assert seen == [True], "by the answer"

    world.part = replace(world.part, client=Late(world.bench))
    writing = world.bench.start(world.look({"phase": "Failed"}))
    await world.bench.clock.until(lambda: len(seen) > 1)
    assert not writing.done()
    assert seen == [True, True], "by the watch, before the answer"
    await world.bench.clock.advance(6)
    assert writing.done()
    assert seen == [True, True]


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"status": {"phase": "Theirs"}}, id="another status"),
        pytest.param({"status": {**WANTED, "extra": "theirs"}}, id="more in it"),
        pytest.param({"metadata": {"labels": {"a": "b"}}}, id="a label"),
        pytest.param({"metadata": {"finalizers": ["a/b"]}}, id="a finalizer"),
        pytest.param({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, id="on its way out"),
        pytest.param({"metadata": {"generation": 2}, "spec": {"size": 3}}, id="another spec"),
        pytest.param({"metadata": {"uid": "another"}}, id="another object"),
    ],
)
async def test_a_change_that_is_more_than_our_own_write_is_looked_at(world: World, others: dict):
    await world.look()
    seen: list[bool] = []
    world.informer.on_change(lambda change, _: seen.append(brings_no_look(world, change)))
    body = world.bench.api.get(WIDGET, key("w"))
    metadata = {**body["metadata"], **others.get("metadata", {})}
    world.bench.api.put(WIDGET, {**body, **others, "metadata": metadata})
    await world.bench.clock.settle()
    assert seen
    assert not any(seen)


async def test_an_object_that_appears_or_vanishes_or_is_listed_again_is_looked_at(world: World):
    await world.look()
    item = world.informer.store.get(key("w"))
    for change in (Change(None, item), Change(item, None), Change(item, item)):
        assert not brings_no_look(world, change)


async def test_a_part_of_one_object_has_a_pace_of_its_own(world: World):
    other = StatusPart(
        resource=WIDGET, codec=WIDGETS, paced=world.paced, client=world.bench.client, part="status.other"
    )
    await world.look()
    for _ in range(10):
        await world.others(PHASE, phase="Theirs")
        await world.look()
    item = world.informer.store.get(key("w"))
    assert await other.write(item, {}, {"since": rfc3339(world.bench.clock.now())}) is not None


# Writes that are repeated by nothing: each is tried once for a person's command, or ends what an earlier program left.
_ONCE = {"commands/history.py", "commands/diff.py", "legacy/hostpools.py", "legacy/services.py"}
# A trial that changes nothing, beside a write that is handed to `PacedWrites.write`; a finalizer that is taken off for
# good; what is noted once, before that finalizer goes.
_NOT_PACED = {
    "expose/reconciler.py": {"_apply", "_leave_behind"},
    "application/writer.py": {"_patch"},
    "application/left_on_purpose.py": {"add"},
}
# Where the write is handed to `PacedWrites.write`, or creates what is missing.
_PACED = {"hostpool/owned_secrets.py", "expose/pod_labels.py"}


def test_no_write_passes_by_the_pace():
    """Reconcilers change objects by `Applier`, `StatusPart` or `PacedWrites` alone."""
    root = Path(wasmcloud_operator.__file__).parent
    found: dict[str, set[str]] = {}
    for path in root.rglob("*.py"):
        place = str(path.relative_to(root))
        if place.startswith("kube/"):
            continue
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for node in ast.walk(function):
                    if (
                        isinstance(node, ast.Attribute)
                        and node.attr in ("apply", "patch", "update")
                        and isinstance(node.value, (ast.Attribute, ast.Name))
                        and getattr(node.value, "attr", getattr(node.value, "id", "")) in ("client", "_client")
                    ):
                        found.setdefault(place, set()).add(function.name)
    assert found.keys() >= _PACED
    rest = {place: names for place, names in found.items() if place not in _ONCE | _PACED}
    assert rest == _NOT_PACED
