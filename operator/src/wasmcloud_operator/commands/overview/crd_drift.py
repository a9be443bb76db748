"""How an installed CRD differs from the one that this release brings. Pure.

Which of the two is newer follows from what only one of them has: a release adds fields, columns and names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_object, as_objects


@dataclass(frozen=True, slots=True)
class Drift:
    """What the installed CRD lacks, what it has besides, and where the two differ otherwise; all empty when alike."""

    lacking: tuple[str, ...] = ()
    besides: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def drift(installed: JsonObject, ours: JsonObject) -> Drift:
    """Returns how an installed CRD differs from ours. Descriptions do not count."""
    theirs, wanted = dict.fromkeys(_parts(installed)), dict.fromkeys(_parts(ours))
    versions = dict(_versions(installed))
    return Drift(
        lacking=_topmost([part for part in wanted if part not in theirs]),
        besides=_topmost([part for part in theirs if part not in wanted]),
        changed=tuple(
            path
            for name, body in _versions(ours)
            if name in versions
            for path in _changed(_compared(versions[name]), _compared(body))
        ),
    )


def _versions(crd: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for version in as_objects(as_object(crd.get("spec")).get("versions")):
        if version.get("served"):
            yield str(version.get("name")), version


def _parts(crd: JsonObject) -> Iterator[str]:
    """Yields what a CRD has that has a name."""
    names = as_object(as_object(crd.get("spec")).get("names"))
    for field, what in (("shortNames", "short name"), ("categories", "category")):
        listed = names.get(field)
        yield from (f"{what} {name}" for name in (listed if isinstance(listed, list) else ()))
    for name, version in _versions(crd):
        yield f"version {name}"
        yield from _fields(as_object(version.get("schema")).get("openAPIV3Schema"), "")
        yield from (f"column {column.get('name')}" for column in as_objects(version.get("additionalPrinterColumns")))
        yield from (f"subresource {subresource}" for subresource in as_object(version.get("subresources")))


def _fields(schema: Json, path: str) -> Iterator[str]:
    body = as_object(schema)
    for name, inner in as_object(body.get("properties")).items():
        yield f"{path}.{name}"
        yield from _fields(inner, f"{path}.{name}")
    for keyword, step in (("items", "[]"), ("additionalProperties", ".*")):
        if keyword in body:
            yield from _fields(body[keyword], path + step)


def _topmost(paths: list[str]) -> tuple[str, ...]:
    """Returns them without the fields within one that is listed itself."""
    return tuple(path for path in paths if not any(path.startswith((f"{other}.", f"{other}[")) for other in paths))


def _compared(version: JsonObject) -> JsonObject:
    columns = {str(column.get("name")): column for column in as_objects(version.get("additionalPrinterColumns"))}
    schema = as_object(version.get("schema")).get("openAPIV3Schema")
    return {"schema": schema, "columns": columns, "subresources": version.get("subresources")}


def _changed(theirs: Json, ours: Json, path: str = "", *, named: bool = False) -> Iterator[str]:
    """Yields where two values differ. What only one has counts, except in objects of names: those are parts."""
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        if theirs != ours:
            yield path
        return
    for name in {**ours, **theirs}:
        if named and not (name in theirs and name in ours):
            continue
        if named or name != "description":
            within = not named and name in ("properties", "columns", "subresources")
            left_out = (within and name == "properties") or (not path and name == "schema")
            step = "" if left_out else f".{name}"
            yield from _changed(theirs.get(name), ours.get(name), path + step, named=within)
