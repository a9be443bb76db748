"""The reference pages have everything that there is to look up, and `kubectl explain` a sentence for every field."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from wasmcloud_operator.kube.metrics import Metrics
from wasmcloud_operator_types import crd

ROOT = Path(__file__).parents[2]
CODE = ROOT / "operator" / "src" / "wasmcloud_operator"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("reference_pages", ROOT / "docs" / "reference" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_page_that_differs_from_the_code_is_named(generator, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generator, "FOLDER", tmp_path)
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    (tmp_path / "cli.md").write_text("something else")
    (tmp_path / "old.md").write_text("")
    assert generator.main(["--check"]) == 1
    printed = capsys.readouterr().out
    assert "cli.md differs" in printed
    assert "old.md is made by nothing" in printed


def test_the_annotations_page_has_every_name_of_the_code(generator):
    listed = {name for entries in generator.ANNOTATIONS.values() for name, _ in entries}
    prefixes = tuple(name.rstrip("…") for name in listed if name.endswith("…"))
    used = set()
    for file in CODE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                used |= set(re.findall(r"^(?:serves\.)?k8s\.wasmcloud\.dev/(?:[a-z-]+)?$", node.value))
    missing = {name for name in used if name not in listed and not name.startswith(prefixes)}
    assert missing <= {"k8s.wasmcloud.dev/"}  # the domain itself, as a prefix


def test_the_metrics_page_has_every_metric_of_the_machinery(generator):
    listed = {name.removesuffix("_total") for name, *_ in generator.metrics()}
    exported = generate_latest(Metrics("wasmcloud_operator").registry).decode()
    families = {family.name for family in text_string_to_metric_families(exported)}
    assert len(families) > 20
    assert families - listed == {name for name in families if name.endswith("_created")}


def test_every_line_of_a_page_is_written_whole(generator):
    for name, text in generator.pages().items():
        assert not re.search(r"(?:^\S$\n){3}", text, re.MULTILINE), name


def test_every_metric_of_the_page_has_a_documentation(generator):
    assert not [name for name, _, _, text in generator.metrics() if len(text) < 8]


@pytest.mark.parametrize("kind", [crd.HOST_CONFIG, crd.APPLICATION], ids=["pool", "application"])
def test_kubectl_explain_has_a_sentence_for_every_field_of_ours(kind):
    definition = crd.custom_resource_definition(kind, embedded=lambda name: {"type": "object", "embedded": name})
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    silent, elsewhere = [], []

    def visit(node, path):
        for name, field in node.get("properties", {}).items():
            at = f"{path}.{name}"
            text = field.get("description", "")
            if not path.startswith(".metadata") and at != ".metadata" and not re.search(r"\w.*\.$", text, re.DOTALL):
                silent.append(at)
            if "embedded" in field and "kubectl explain pod.spec" not in text:
                elsewhere.append(at)
            visit(field, at)
            visit(field.get("items", {}), f"{at}[]")

    visit(schema, "")
    assert not silent
    assert not elsewhere  # fields of Kubernetes' own types are described by its own explain


def test_texts_beside_a_reason_and_in_calls_of_a_logger_are_messages(generator, tmp_path):
    (tmp_path / "module.py").write_text(
        """
WHAT = "is empty"


def refuse(self, name, kept):
    note = f"{name} {WHAT}" if kept else "is missing"
    self.event("Normal", Reason.DELETED, note)
    yield Problem(Reason.CONFLICT if kept else Reason.UNKNOWN, ".spec.a", f"{len(self.all_names)} of them clash")
    level = log.info if kept else log.warning
    level("things changed", name=name)
    self._warn("too late")


def _warn(self, event):
    _log.error(event, exc_info=True, subject="")
"""
    )
    code = generator.messages.Sources.of(tmp_path)
    assert code.messages({"CONFLICT": "Conflict", "DELETED": "Deleted", "UNKNOWN": "Unknown"}) == [
        ("Conflict", "<all names> of them clash", ""),
        ("Deleted", "<name> is empty", "Normal"),
        ("Deleted", "is missing", "Normal"),
        ("Unknown", "<all names> of them clash", ""),
    ]
    assert code.log_events() == [
        ("error", "too late", ("subject",), "module.py"),
        ("warning", "things changed", ("name",), "module.py"),
        ("info", "things changed", ("name",), "module.py"),
    ]


def test_a_log_event_that_the_page_cannot_show_is_an_error(generator, tmp_path):
    (tmp_path / "module.py").write_text("def run(event):\n    log.info(event)\n")
    with pytest.raises(ValueError, match=r"module\.py:2"):
        generator.messages.Sources.of(tmp_path).log_events()
