"""What an Application asks for, examined once for each state of its spec, annotations and labels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wasmcloud_operator.application.manifest import Content, content_of, draft, without_nulls
from wasmcloud_operator.kube.objects import CustomResource
from wasmcloud_operator.kube.resources import Key
from wasmcloud_operator.manifest.reading import ManifestProblem
from wasmcloud_operator.manifest.validation import errors, validate


@dataclass(frozen=True, slots=True)
class Examined:
    """The content, and what keeps it from wadm."""

    content: Content
    problems: tuple[ManifestProblem, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    uid: str
    generation: int
    annotations: dict[str, str]
    labels: dict[str, str]
    examined: Examined


@dataclass(slots=True)
class Examiner:
    """Examines Applications, and remembers the result: a large manifest takes tens of milliseconds."""

    _known: dict[Key, _Known] = field(default_factory=dict)

    def examine(self, item: CustomResource) -> Examined:
        """The content of the item and its problems."""
        meta = item.metadata
        spec = without_nulls(item.spec) if isinstance(item.spec, dict) else {}
        known = self._known.get(meta.key)
        if known is not None and (known.uid, known.generation, known.annotations, known.labels) == (
            meta.uid,
            meta.generation,
            meta.annotations,
            meta.labels,
        ):
            examined = known.examined
            return Examined(replace(examined.content, spec=spec), examined.problems)
        content = content_of({"name": meta.name, "annotations": meta.annotations, "labels": meta.labels}, spec)
        examined = Examined(content, tuple(errors(validate(draft(content)))))
        # Without the spec: the cache holds that, and a second one would double what a large manifest takes.
        remembered = Examined(replace(content, spec={}), examined.problems)
        self._known[meta.key] = _Known(meta.uid, meta.generation, meta.annotations, meta.labels, remembered)
        return examined

    def forget(self, key: Key) -> None:
        """The item is gone."""
        self._known.pop(key, None)
