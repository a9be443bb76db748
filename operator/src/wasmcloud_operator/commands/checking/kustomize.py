"""Which files a kustomization names as patches."""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from wasmcloud_operator.base.jsontypes import Json, as_object, as_objects
from wasmcloud_operator_types.yamltext import Document, read

_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


@dataclass(slots=True)
class Patches:
    """Knows the patches of the kustomizations that it has looked at, by their folder."""

    _by_folder: dict[Path, frozenset[str]] = field(default_factory=dict)

    def hold(self, file: Path) -> bool:
        """Whether a kustomization beside the file, or in a folder around it, names it as a patch."""
        place = Path(os.path.normpath(file.absolute()))
        return any(str(place) in self._of(folder) for folder in place.parents)

    def _of(self, folder: Path) -> frozenset[str]:
        if folder not in self._by_folder:
            self._by_folder[folder] = frozenset(os.path.normpath(folder / path) for path in _named(folder))
        return self._by_folder[folder]


def decoded(content: bytes) -> str:
    """Returns the text as kubectl reads it: UTF-8, or UTF-16 with its mark, which Windows' shell writes.

    Raises UnicodeDecodeError.
    """
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if utf16 else "utf-8-sig")


def _named(folder: Path) -> Iterator[str]:
    """Yields the paths of patches, as a folder's kustomization writes them."""
    for name in _NAMES:
        content = b""
        with contextlib.suppress(OSError):
            if (folder / name).is_file():  # a pipe would be waited for
                content = (folder / name).read_bytes()
        with contextlib.suppress(UnicodeDecodeError):
            for document in read(decoded(content)):
                yield from _paths(document.value if isinstance(document, Document) else None)


def _paths(kustomization: Json) -> Iterator[str]:
    fields = as_object(kustomization)
    for name in ("patches", "patchesJson6902"):
        yield from (path for entry in as_objects(fields.get(name)) if isinstance(path := entry.get("path"), str))
    merged = fields.get("patchesStrategicMerge")
    yield from (entry for entry in (merged if isinstance(merged, list) else ()) if isinstance(entry, str))
