"""`check PATHS…`: whatever a user applies is validated before it reaches a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from wasmcloud_operator.base.jsontypes import JsonObject, as_object
from wasmcloud_operator.commands.checking.findings import CheckReport, ExitCode, FileFinding
from wasmcloud_operator.commands.checking.kinds import Item, Misnamed, holds_ours, items, kind_of, mentions_ours
from wasmcloud_operator.commands.checking.rules import application_problems, host_config_problems, template_problems
from wasmcloud_operator.commands.checking.sources import EmptyFolder, SourceFile, UnreadableFile, sources
from wasmcloud_operator.kinds import APPLICATION, HOST_CONFIG
from wasmcloud_operator.kube.resources import Resource
from wasmcloud_operator.manifest.reading import ManifestProblem, Severity
from wasmcloud_operator_types.yamltext import Document, DocumentFault, read

_CHECKS = {APPLICATION: ("application", application_problems), HOST_CONFIG: ("host-config", host_config_problems)}


def check_paths(paths: Iterable[str], *, skip_foreign: bool = False, strict: bool = False) -> CheckReport:
    """Checks every Application and WasmCloudHostConfig at the paths (`-` is standard input); others are passed over.

    With `skip_foreign`, files that are named and hold nothing of ours are passed over like those found in a folder.
    With `strict`, warnings count as errors.
    """
    found = _Check(skip_foreign)
    for source in sources(paths):
        found.take(source)
    severities = {finding.severity for finding in found.findings}
    if found.unreadable:
        code = ExitCode.UNREADABLE
    else:
        failed = "error" in severities or (strict and "warning" in severities)
        code = ExitCode.ERRORS if failed else ExitCode.OK
    return CheckReport(tuple(found.findings), found.checked, found.passed_over, code)


class _Check:
    """Collects what is found in one file after the other."""

    def __init__(self, skip_foreign: bool) -> None:
        self.findings: list[FileFinding] = []
        self.checked = 0
        self.passed_over = 0
        self.unreadable = False
        self._skip_foreign = skip_foreign
        self._lines: dict[tuple[str, Resource, str, str], int] = {}

    def take(self, source: SourceFile | UnreadableFile | EmptyFolder) -> None:
        """Adds a file."""
        match source:
            case UnreadableFile():
                self.unreadable = True
                self.findings.append(_of_file(source.name, "error", "unreadable", source.message))
            case EmptyFolder():
                what = "holds no .yaml, .yml or .json file"
                self.findings.append(_of_file(source.name, "warning", "nothing", what))
            case SourceFile(patch=True):
                self.passed_over += 1
            case SourceFile():
                self._text(source)

    def _text(self, source: SourceFile) -> None:
        named = source.named and not self._skip_foreign
        before = len(self.findings) + self.checked
        for document in read(source.text):
            if isinstance(document, Document):
                for item in items(document.value):
                    self._item(source.name, document, item, named=named)
            elif named or mentions_ours(source.text):
                self._fault(source.name, document)
            else:
                self.passed_over += 1
                return
        if named and len(self.findings) + self.checked == before:
            what = f"holds no {APPLICATION.kind} or {HOST_CONFIG.kind}"
            self.findings.append(_of_file(source.name, "warning", "nothing", what))

    def _fault(self, file: str, fault: DocumentFault) -> None:
        self.unreadable = True
        last = self.findings[-1] if self.findings else None
        if fault.rule == "template" and last is not None and (last.file, last.rule) == (file, "template"):
            return  # once is enough for a file
        place = fault.place
        self.findings.append(FileFinding(file, place.line, place.column, "error", fault.rule, "", "", fault.message))

    def _item(self, file: str, document: Document, item: Item, *, named: bool) -> None:
        if not isinstance(item.value, dict):
            what = "is not a manifest: it must have apiVersion, kind, metadata and spec" if named else ""
            if holds_ours(item.value):
                what = "is a list of objects, which kubectl does not take: part them by ---, or write a List with items"
            if what:
                self._add(file, document, item, "kind", "", ManifestProblem("error", "", what))
            else:
                self.passed_over += 1
            return
        kind = kind_of(item.value)
        if kind is None:
            self.passed_over += 1
        elif isinstance(kind, Misnamed):
            self._add(
                file, document, item, "kind", _name(item.value), ManifestProblem("error", kind.path, kind.message)
            )
        else:
            self.checked += 1
            rule, problems = _CHECKS[kind]
            name = f"{kind.kind} {_name(item.value)}".rstrip()
            line = document.place(item.path).line
            twice = self._twice(file, kind, item.value, line)
            for problem in (*problems(item.value), *template_problems(item.value), *twice):
                self._add(file, document, item, rule, name, problem)

    def _twice(self, file: str, kind: Resource, value: JsonObject, line: int) -> Iterator[ManifestProblem]:
        """Yields the problem of an object that the file has already: the later one would overwrite it."""
        metadata = value.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
            first = self._lines.setdefault((file, kind, str(metadata.get("namespace") or ""), metadata["name"]), line)
            if first != line:
                what = f"is also the name of the {kind.kind} in line {first}, which this one overwrites"
                yield ManifestProblem("warning", "metadata.name", what)

    def _add(self, file: str, document: Document, item: Item, rule: str, name: str, problem: ManifestProblem) -> None:
        path = f"{item.path}.{problem.path}" if item.path and problem.path else item.path or problem.path
        place = document.place(path)
        shown = problem.path if not item.path else path
        self.findings.append(
            FileFinding(file, place.line, place.column, problem.severity, rule, name, shown, problem.message)
        )


def _of_file(file: str, severity: Severity, rule: str, message: str) -> FileFinding:
    return FileFinding(file, 0, 0, severity, rule, "", "", message)


def _name(value: JsonObject) -> str:
    name = as_object(value.get("metadata")).get("name")
    return name if isinstance(name, str) else ""
