"""What was rendered a moment ago: a pool that rolls out is looked at several times, and mostly nothing of it is new."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.hostpool.inputs import Facts
from wasmcloud_operator.hostpool.render_workload import Children, render
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator_types import WasmCloudHostConfig

# 20 KiB each: for pools at rest that would be a quarter of their memory.
_KEPT_SECONDS = 15.0
_MOST = 256


@dataclass(frozen=True, slots=True)
class _Source:
    """What a rendering was made of.

    After a restored backup another spec may have the same generation, and with another generation two specs that are
    equal to Python may differ: true is 1.
    """

    uid: str
    generation: int
    config: WasmCloudHostConfig
    facts: Facts


@dataclass(slots=True)
class Renderings:
    """Renders pools. What was rendered is kept for some seconds, of a bounded number of pools."""

    clock: Clock
    _kept: dict[Key, tuple[_Source, Children]] = field(default_factory=dict, repr=False)

    def of(self, item: CustomResource, config: WasmCloudHostConfig, facts: Facts) -> Children:
        """Returns what `render` makes of a config; nobody may change it. Raises SpecError as that does."""
        key, source = item.metadata.key, _Source(item.metadata.uid, item.metadata.generation, config, facts)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == source:
            return kept[1]
        children = render(config, facts)
        if kept is not None or len(self._kept) < _MOST:
            self._kept[key] = (source, children)
            self.clock.call_later(_KEPT_SECONDS, partial(self._drop, key, source))
        return children

    def _drop(self, key: Key, source: _Source) -> None:
        if key in self._kept and self._kept[key][0] is source:
            del self._kept[key]
