"""What was found, and the forms it is written in: text, JSON, SARIF and the commands of GitHub's log."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum
from importlib.metadata import version
from pathlib import PurePath
from urllib.parse import quote

from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.base.printable import printable
from wasmcloud_operator.manifest.reading import Severity

RULES: Mapping[str, str] = {
    "unreadable": "A file or folder cannot be read.",
    "yaml": "A document is not YAML, or not YAML that Kubernetes takes.",
    "template": "A template is not rendered.",
    "duplicate-key": "A key is in an object twice.",
    "kind": "An object is meant to be an Application or a WasmCloudHostConfig, but its apiVersion or kind is wrong.",
    "nothing": "A file holds nothing to check.",
    "application": "The API server, the operator, wadm or wash refuses the Application or does not take it as meant.",
    "host-config": "The API server or the operator refuses the WasmCloudHostConfig or does not take it as meant.",
}


class ExitCode(IntEnum):
    """The exit codes of the command."""

    OK = 0
    """No errors; there may be warnings."""

    ERRORS = 1
    """An object that would be refused; with --strict also warnings."""

    UNREADABLE = 2
    """A file that is not there, not text or not YAML."""


@dataclass(frozen=True, slots=True)
class FileFinding:
    """A problem and where it is. Line and column count from 1; 0 stands for the file as a whole."""

    file: str
    line: int
    column: int
    severity: Severity
    rule: str
    object: str
    """Kind and name of the object, empty where there is none."""

    path: str
    message: str

    @property
    def sentence(self) -> str:
        """The problem without its file."""
        return ": ".join(filter(None, (self.object, self.path, self.message)))

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return printable(f"{place}: {self.severity}: {self.sentence}")


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What came out of the check of all files."""

    findings: tuple[FileFinding, ...]
    checked: int
    """How many Applications and WasmCloudHostConfigs were found."""

    passed_over: int
    """How many objects of other kinds there were, and files of a folder that hold nothing of the operator's."""

    exit_code: ExitCode

    @property
    def summary(self) -> str:
        """One line for people."""
        errors = sum(finding.severity == "error" for finding in self.findings)
        others = f" ({self.passed_over} of other kinds passed over)" if self.passed_over else ""
        found = f"{_counted(errors, 'error')}, {_counted(len(self.findings) - errors, 'warning')}"
        return f"{_counted(self.checked, 'object')} checked{others}: {found}"


def as_text(report: CheckReport) -> str:
    """Returns a line for each finding, and a summary."""
    return "\n".join([*map(str, report.findings), report.summary])


def as_json(report: CheckReport) -> str:
    """Returns the report as one JSON object."""
    return json.dumps(
        {
            "exitCode": int(report.exit_code),
            "checked": report.checked,
            "passedOver": report.passed_over,
            "findings": [asdict(finding) for finding in report.findings],
        },
        indent=2,
    )


def as_github(report: CheckReport) -> str:
    """Returns commands for the log of a GitHub workflow, which shows them at the lines of a change."""
    return "\n".join([*map(_command, report.findings), report.summary])


def as_sarif(report: CheckReport) -> str:
    """Returns the report in SARIF 2.1.0, which code scanning takes."""
    return json.dumps(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "wasmcloud-operator check",
                            "version": version("wasmcloud-operator"),
                            "rules": [{"id": rule, "shortDescription": {"text": text}} for rule, text in RULES.items()],
                        }
                    },
                    "columnKind": "unicodeCodePoints",
                    "results": [_result(finding) for finding in report.findings],
                }
            ],
        },
        indent=2,
    )


FORMATS: Mapping[str, Callable[[CheckReport], str]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "github": as_github,
}


def _command(finding: FileFinding) -> str:
    place = f",line={finding.line},col={finding.column}" if finding.line else ""
    title = _escaped(finding.object or finding.rule, ":,")
    file = _escaped(_in_repository(finding.file), ":,")
    return f"::{finding.severity} file={file}{place},title={title}::{_escaped(finding.sentence)}"


def _escaped(text: str, more: str = "") -> str:
    """A value of a workflow command: percent signs and line ends escaped, and what parts its properties."""
    for letter in f"%\r\n{more}":
        text = text.replace(letter, f"%{ord(letter):02X}")
    return printable(text)


def _result(finding: FileFinding) -> JsonObject:
    place: JsonObject = {"artifactLocation": {"uri": quote(_in_repository(finding.file))}}
    if finding.line:
        place["region"] = {"startLine": finding.line, "startColumn": finding.column}
    return {
        "ruleId": finding.rule,
        "level": finding.severity,
        "message": {"text": finding.sentence},
        "locations": [{"physicalLocation": place}],
    }


def _in_repository(file: str) -> str:
    """The file's path as a repository has it: without the `./` that somebody typed."""
    return PurePath(file).as_posix()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
