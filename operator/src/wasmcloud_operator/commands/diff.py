"""`diff FILES…`: what applying them would change in the cluster and in wadm, before it does."""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import msgspec
import yaml

from wasmcloud_operator.application.examine import Examiner
from wasmcloud_operator.application.naming import is_undeployed
from wasmcloud_operator.base.jsontypes import Json, JsonObject, as_object
from wasmcloud_operator.commands.checking.kinds import Misnamed, items, kind_of
from wasmcloud_operator.commands.checking.rules import as_kubernetes_reads
from wasmcloud_operator.commands.checking.sources import EmptyFolder, SourceFile, sources
from wasmcloud_operator.commands.migrate import pool_changes
from wasmcloud_operator.commands.overview.screens import Screen, by_hand
from wasmcloud_operator.commands.printable import say
from wasmcloud_operator.commands.redaction.texts import blackened
from wasmcloud_operator.hostpool.platform import platform_seen
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.client import MERGE_PATCH, Reader, Writer
from wasmcloud_operator.kube.codec import CUSTOM_RESOURCE, UNSTRUCTURED
from wasmcloud_operator.kube.errors import ApiError, Forbidden
from wasmcloud_operator.kube.objects import LAST_APPLIED
from wasmcloud_operator.kube.resources import Key, Resource
from wasmcloud_operator.names import is_paused
from wasmcloud_operator.shared.problem import SpecError
from wasmcloud_operator_types.yamltext import Document, DocumentFault, read


class UnusableInput(Exception):
    """A file that cannot be read, or holds something that is refused, or not taken for what it is meant to be."""


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """What applying one object would do: lines of a unified diff, and consequences as sentences."""

    name: str
    lines: tuple[str, ...]
    consequences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """The namespace that the user has named with -n, empty for none, and that of an object where neither names one."""

    named: str
    otherwise: str


async def changes(client: Writer, paths: Iterable[str], places: Places) -> AsyncIterator[PlannedChange]:
    """Yields the change of each Application and host config. Raises UnusableInput, the errors of `kube.errors`."""
    for resource, key, body in _objects(paths, places):
        try:
            live = await client.find_whole(resource, key)
            planned = await _planned(client, resource, key, body, live)
        except ApiError as error:  # it answers, and refuses the object
            raise UnusableInput(f"{resource.kind} {key}: {error}") from error
        lines = lines_between(live, planned)
        found = await _consequences(client, resource, live, planned)
        yield PlannedChange(f"{resource.kind} {key}", lines, tuple(found))


def _objects(paths: Iterable[str], places: Places) -> list[tuple[Resource, Key, JsonObject]]:
    found = []
    for source in sources(paths):
        if not isinstance(source, SourceFile):
            what = "holds no file to read" if isinstance(source, EmptyFolder) else source.message
            raise UnusableInput(f"{source.name}: {what}")
        if source.patch:
            continue
        for document in read(source.text):
            if isinstance(document, DocumentFault):
                raise UnusableInput(f"{source.name}:{document.place.line}: {document.message}")
            found += list(_of(source.name, document, places))
    return found


def _of(file: str, document: Document, places: Places) -> Iterable[tuple[Resource, Key, JsonObject]]:
    for item in items(document.value):
        kind = kind_of(item.value) if isinstance(item.value, dict) else None
        if isinstance(kind, Misnamed):
            line = document.place(item.path).line
            raise UnusableInput(f"{file}:{line}: {kind.path}: {kind.message}")
        if kind is not None:
            body = as_kubernetes_reads(item.value)
            body.pop("status", None)
            try:
                yield kind, _placed(body, places), body
            except UnusableInput as error:
                path = f"{item.path}.metadata.namespace".removeprefix(".")
                raise UnusableInput(f"{file}:{document.place(path).line}: {kind.kind} {error}") from None


def _placed(body: JsonObject, places: Places) -> Key:
    """Returns which object a body is, and writes its namespace into it. Raises UnusableInput without file and line."""
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        raise UnusableInput("has no metadata.name: run check on it")
    written = metadata.get("namespace") or ""
    if not isinstance(written, str):
        raise UnusableInput(f"{name}: metadata.namespace is no name of a namespace: run check on it")
    if written and places.named not in ("", written):
        reason = f"metadata.namespace is {written}, and -n names {places.named}, which kubectl refuses"
        raise UnusableInput(f"{name}: {reason}: leave out one")
    metadata["namespace"] = written or places.named or places.otherwise
    return Key(metadata["namespace"], name)


async def _planned(
    client: Writer, resource: Resource, key: Key, body: JsonObject, live: JsonObject | None
) -> JsonObject:
    """What the API server would store, which it computes and does not store.

    As `kubectl apply` does it for custom resources: what was applied last and is in the file no more is removed.
    """
    if live is None:
        return (await client.create(resource, body, namespace=key.namespace, dry_run=True)).body
    patch = merge_patch(_applied_last(live), body)
    return (await client.patch(resource, key, patch, MERGE_PATCH, UNSTRUCTURED, dry_run=True)).body


def merge_patch(before: Json, after: Json) -> Json:
    """Returns `after` as a merge patch that also removes the fields which are in `before` alone."""
    if not isinstance(after, dict):
        return after
    fields = as_object(before)
    removed = {name: None for name in fields if name not in after}
    return {**removed, **{name: merge_patch(fields.get(name), value) for name, value in after.items()}}


def _applied_last(live: JsonObject) -> JsonObject:
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED, "{}")
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: found[name] for name in ("metadata", "spec") if name in found}


def lines_between(live: JsonObject | None, planned: JsonObject) -> tuple[str, ...]:
    """Returns a unified diff without anything secret; of a change of secrets alone, that there is one."""
    before, after = _text(live), _text(planned)
    was, becomes = blackened(before).splitlines(), blackened(after).splitlines()
    lines = tuple(difflib.unified_diff(was, becomes, "live", "applied", lineterm=""))
    return lines or (("~ only what is blacked out changes",) if before != after else ())


def _text(body: JsonObject | None) -> str:
    """Returns the fields that users write, as YAML."""
    if body is None:
        return ""
    metadata = {name: value for name in ("name", "namespace", "labels") if (value := body["metadata"].get(name))}
    entries = body["metadata"].get("annotations") or {}
    if kept := {key: value for key, value in entries.items() if key != LAST_APPLIED}:
        metadata["annotations"] = kept
    return yaml.safe_dump({"metadata": metadata, "spec": body.get("spec")}, sort_keys=True, allow_unicode=True)


async def _consequences(client: Reader, resource: Resource, live: JsonObject | None, planned: JsonObject) -> list[str]:
    if resource is APPLICATION:
        return _in_wadm(live, planned)
    try:
        platform = await platform_seen(client, "auto")
        item = CUSTOM_RESOURCE.item(msgspec.json.encode(planned))
        return [f"cluster: {line}" for line in await pool_changes(client, item, platform)]
    except SpecError as error:
        return [f"refused by the operator: {problem}" for problem in error.problems]
    except Forbidden as error:
        return [f"cannot find out what happens to its pods: {error}"]


def _in_wadm(live: JsonObject | None, planned: JsonObject) -> list[str]:
    """What the operator does with an Application, or what keeps it from that."""
    item = CUSTOM_RESOURCE.item(msgspec.json.encode(planned))
    examined = Examiner().examine(item)
    if examined.problems:
        return [f"refused by the operator: {problem}" for problem in examined.problems]
    annotations = item.metadata.annotations
    if is_paused(annotations):
        return ["wadm: nothing is done while the Application is paused"]
    content = examined.content
    if ((live or {}).get("status") or {}).get("contentDigest") == content.digest:
        return ["wadm: nothing is deployed again, the content is the same"]
    version = content.declared_version or f"content-{content.short_digest}"
    deployed = ", and not deployed" if is_undeployed(annotations) else " and deployed"
    return [f"wadm: version {version} is put{deployed}"]


def diff_screen(paths: Iterable[str], places: Places) -> Screen:
    """Returns the screen of `diff`: a unified diff for each object that changes, and what follows from it."""

    async def screen(client: Reader) -> int:
        changed, compared = False, False
        try:
            async for change in changes(by_hand(client), paths, places):
                changed, compared = changed or bool(change.lines), True
                say(f"# {change.name}", *change.lines, *(f"# {line}" for line in change.consequences))
        except UnusableInput as error:
            say(f"cannot compare: {error}", err=True)
            return 2
        if not compared:
            say(f"nothing to compare: there is no {APPLICATION.kind} or {HOST_CONFIG.kind} in it", err=True)
        return 1 if changed else 0

    return screen
