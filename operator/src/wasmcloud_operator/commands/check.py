"""``wasmcloud-operator check FILE…``: the same validation for files, before anything is applied."""

from __future__ import annotations

import re
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from wasmcloud_operator.application.manifest import passed_metadata, without_nulls
from wasmcloud_operator.lattice.content import API_VERSION, KIND
from wasmcloud_operator.manifest.http_endpoints import exposure, pod_port_problems
from wasmcloud_operator.manifest.reading import ManifestProblem
from wasmcloud_operator.manifest.validation import validate
from wasmcloud_operator.names import DEFAULT_ADMIN_PORT

STDIN = "-"
_GROUP = API_VERSION.partition("/")[0]
_ONLY_THE_LATTICE_KNOWS = frozenset({"ConfigMissing", "ConfigUnknown", "SharedApplicationMissing"})
_MOST_VALUES = 1_000_000  # etcd takes no object that holds as many
_KUBERNETES_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?")


class ExitCode(IntEnum):
    """The exit codes of the command."""

    OK = 0
    """No errors; there may be warnings."""

    ERRORS = 1
    """A manifest that the operator would not hand to wadm."""

    UNREADABLE = 2
    """A file that is not there, not text or not YAML."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem and the place of the document it is in."""

    file: str
    document: int
    """Number of the document in the file, from 1; 0 for the file as a whole."""

    name: str | None
    """``metadata.name`` of the document, where there is one."""

    problem: ManifestProblem

    def __str__(self) -> str:
        place = f"{self.file}, document {self.document}" if self.document else self.file
        return f"{place}{f' ({self.name})' if self.name else ''}: {self.problem.severity}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Report:
    """What came out of the check of all files."""

    findings: tuple[Finding, ...]
    checked: int
    """How many applications were found."""

    exit_code: ExitCode

    @property
    def lines(self) -> list[str]:
        """The findings as they are printed, one a line."""
        return [str(finding) for finding in self.findings]


class _Loader(yaml.SafeLoader):
    """YAML as wadm and kubectl read it: dates are text, and a key given twice is a fault."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # the name is PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_document(self, node: yaml.Node) -> Any:
        if _values(node, {}) > _MOST_VALUES:
            raise _fault(node, f"with its aliases written out it holds more than {_MOST_VALUES:,} values", node)
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str | int | float):
                raise _fault(node, "a key is no text: a template that is not rendered yet?", key_node)
            if _as_text(key) in seen:
                raise _fault(node, f"the key {_as_text(key)!r} is there twice", key_node)
            seen.add(_as_text(key))
        return {_as_text(key): value for key, value in super().construct_mapping(node, deep).items()}

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        # Deep: an object that holds itself is refused. What does not fit its tag (`!!int x`) ends in many errors.
        try:
            return super().construct_object(node, deep=True)
        except (ValueError, KeyError, AttributeError, TypeError):
            raise _fault(node, f"this is no {node.tag.rpartition(':')[2]}", node) from None


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node holds, an alias counted as what it stands for; `known` has those of nodes by their id."""
    if id(node) not in known:
        known[id(node)] = 1  # for an alias within itself, which is refused later
        children: Iterable[yaml.Node] = ()
        if isinstance(node, yaml.SequenceNode):
            children = node.value
        elif isinstance(node, yaml.MappingNode):
            children = chain.from_iterable(node.value)
        known[id(node)] += sum(_values(child, known) for child in children)
    return known[id(node)]


def _as_text(key: Hashable) -> str:
    """A key as Kubernetes reads it: numbers and booleans are text."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def _fault(node: yaml.Node, message: str, at: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError("while reading an object", node.start_mark, message, at.start_mark)


def check_files(paths: Iterable[Path | str]) -> Report:
    """Checks every Application in the files (``-`` is standard input); other kinds of documents are passed over."""
    findings: list[Finding] = []
    checked = 0
    unreadable = False
    for path in map(str, paths):
        try:
            documents = _documents(path)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            unreadable = True
            findings.append(Finding(path, 0, None, ManifestProblem("error", "", _reason(error))))
            continue
        found = [(number, document) for number, document in documents if _is_application(document)]
        checked += len(found)
        if not found:
            findings.append(Finding(path, 0, None, ManifestProblem("warning", "", f"holds no {KIND} of {API_VERSION}")))
        for number, document in found:
            name = _name(document)
            findings.extend(Finding(path, number, name, problem) for problem in check_document(document))
    if unreadable:
        code = ExitCode.UNREADABLE
    else:
        failed = any(finding.problem.severity == "error" for finding in findings)
        code = ExitCode.ERRORS if failed else ExitCode.OK
    return Report(tuple(findings), checked, code)


def check_document(document: object) -> list[ManifestProblem]:
    """The problems of one manifest as a user writes it: for Kubernetes, for the operator, and for ``wash``."""
    if not isinstance(document, Mapping):
        return [ManifestProblem("error", "", "is not a manifest: it must have apiVersion, kind, metadata and spec")]
    # Kubernetes takes what is null for left out.
    manifest = without_nulls(dict(document))
    problems = []
    if manifest.pop("status", None) is not None:
        problems.append(
            ManifestProblem(
                "warning", "status", "is written by the operator, and `wash app deploy` refuses it: remove it"
            )
        )
    metadata = manifest.get("metadata")
    if isinstance(metadata, Mapping):
        problems.extend(_metadata_problems(metadata))
        manifest["metadata"] = _as_sent(metadata)
    return problems + validate(manifest) + _http_problems(manifest)


def _http_problems(manifest: Mapping[str, object]) -> list[ManifestProblem]:
    """What the operator would report of the application's HTTP endpoints; what only the lattice knows is left out."""
    found = exposure(manifest)
    told = [
        ManifestProblem("warning", problem.path, problem.message)
        for problem in found.problems
        if problem.reason not in _ONLY_THE_LATTICE_KNOWS
    ]
    for provider in found.providers:
        told += [ManifestProblem("error", one.path, one.message) for one in pod_port_problems(provider)]
        admin = pod_port_problems(
            provider, {DEFAULT_ADMIN_PORT: "the host's admin endpoint, unless it is set otherwise,"}
        )
        told += [ManifestProblem("warning", one.path, one.message) for one in admin]
    return told


def _metadata_problems(metadata: Mapping[str, object]) -> Iterator[ManifestProblem]:
    name = metadata.get("name")
    if isinstance(name, str) and not _KUBERNETES_NAME.fullmatch(name):
        yield ManifestProblem(
            "warning",
            "metadata.name",
            "is a name that Kubernetes cannot hold: use lower case letters, digits and '-', at most 253",
        )
    if "annotations" not in metadata:
        yield ManifestProblem(
            "warning",
            "metadata.annotations",
            "is missing: the operator adds it, but `wash app deploy` needs it written",
        )


def _as_sent(metadata: Mapping[str, object]) -> dict[str, object]:
    """The metadata with those annotations and labels that reach wadm, and those that Kubernetes does not take."""
    sent = dict(metadata)
    sent.setdefault("annotations", {})
    for part in ("annotations", "labels"):
        entries = sent.get(part)
        if isinstance(entries, Mapping):
            texts = {str(key): value for key, value in entries.items() if isinstance(value, str)}
            others = {str(key): value for key, value in entries.items() if not isinstance(value, str)}
            sent[part] = {**passed_metadata(texts), **others}
    return sent


def _documents(path: str) -> list[tuple[int, object]]:
    """Number and content of each document that is not empty."""
    text = sys.stdin.read() if path == STDIN else Path(path).read_text(encoding="utf-8")
    loaded = yaml.load_all(text, Loader=_Loader)
    return [(number, document) for number, document in enumerate(loaded, start=1) if document is not None]


def _is_application(document: object) -> bool:
    """Whether to check a document: one of another kind is somebody else's, one without a kind is a mistake."""
    if not isinstance(document, Mapping):
        return True
    group = str(document.get("apiVersion", _GROUP)).partition("/")[0]
    return group == _GROUP and document.get("kind", KIND) == KIND


def _name(document: object) -> str | None:
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) else None


def _reason(error: Exception) -> str:
    match error:
        case OSError():
            return f"cannot be read: {error.strerror or error}"
        case UnicodeDecodeError():
            return "is not text in UTF-8"
        case RecursionError():
            return "is nested too deeply"
        case _:
            return f"is not YAML: {' '.join(str(error).split())}"
