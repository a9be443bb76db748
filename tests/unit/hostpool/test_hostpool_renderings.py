"""What was rendered a moment ago is not rendered again, as long as nothing that it was made of is new."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.hostpool import renderings
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.reconciler import parsed
from wasmcloud_operator.hostpool.render_workload import render
from wasmcloud_operator.hostpool.renderings import Renderings
from wasmcloud_operator.kube.objects import CustomResource, ObjectMeta

SPEC = {"lattice": "blue", "version": "1.6.0", "natsAddress": "nats://hub"}


def pool(name="pool", uid="u", generation=1, **spec) -> CustomResource:
    return CustomResource(ObjectMeta(name, "ns", uid, "1", generation), {**SPEC, **spec})


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """The names of the pools that were rendered."""
    names: list[str] = []

    def counted(config, facts):
        names.append(config.metadata.name)
        return render(config, facts)

    monkeypatch.setattr(renderings, "render", counted)
    return names


def of(kept: Renderings, item: CustomResource, facts: Facts = Facts()):  # noqa: B008 - immutable
    return kept.of(item, parsed(item), facts)


async def test_a_pool_that_is_looked_at_again_is_not_rendered_again(made):
    kept, facts = Renderings(VirtualClock()), Facts()
    first = of(kept, pool(), facts)
    assert of(kept, pool(), replace(facts)) is first
    assert first == render(parsed(pool()), facts)
    assert made == ["pool"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(pool(generation=2, logLevel="DEBUG"), id="another spec"),
        pytest.param(pool(logLevel="DEBUG"), id="another spec of the same generation, as after a restored backup"),
        pytest.param(pool(generation=2), id="another generation: true may have become 1, which are equal to Python"),
        pytest.param(pool(uid="v"), id="another config of that name"),
    ],
)
async def test_news_in_a_config_are_rendered(made, other):
    kept = Renderings(VirtualClock())
    of(kept, pool())
    assert of(kept, other) == render(parsed(other), Facts())
    assert len(made) == 2


async def test_news_outside_of_a_config_are_rendered(made):
    kept = Renderings(VirtualClock())
    of(kept, pool())
    other = Facts(max_payload=2_000_000)
    assert of(kept, pool(), other) == render(parsed(pool()), other)
    assert len(made) == 2


async def test_pools_at_rest_keep_no_renderings(made):
    clock = VirtualClock()
    kept = Renderings(clock)
    of(kept, pool())
    await clock.advance(10)
    newer = of(kept, pool(generation=2))
    await clock.advance(10)
    assert of(kept, pool(generation=2)) is newer, "the end of the former one's time is not that of the newer one"
    await clock.advance(10)
    assert of(kept, pool(generation=2)) is not newer


async def test_renderings_of_a_bounded_number_of_pools_are_kept(made, monkeypatch):
    monkeypatch.setattr(renderings, "_MOST", 2)
    kept = Renderings(VirtualClock())
    for name in ("a", "b", "c", "a", "b", "c"):
        assert of(kept, pool(name)).workload.body["metadata"]["name"] == name
    assert made == ["a", "b", "c", "c"]
