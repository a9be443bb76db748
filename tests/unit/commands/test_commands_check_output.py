"""Which files `check` looks at, and the forms in which it reports."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from support.objects.checked_manifests import GOOD
from wasmcloud_operator.commands.check import check_paths
from wasmcloud_operator.commands.checking.findings import FORMATS, RULES, ExitCode, as_github, as_json, as_sarif


def test_a_folder_is_searched_and_what_is_not_ours_passed_over(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / ".git").mkdir()
    (tmp_path / "a/b/app.yml").write_text(GOOD)
    (tmp_path / "a/hosts.json").write_text(
        '{"apiVersion": "k8s.wasmcloud.dev/v1alpha1", "kind": "WasmCloudHostConfig", "metadata": {"name": "edge"},\n'
        '\t"spec": {"lattice": "default", "version": "1.9.0"}}'
    )
    (tmp_path / "a/values.yaml").write_text("replicas: 1\n")
    (tmp_path / "a/deployment.yaml").write_text("kind: Deployment\nname: {{ .Values.name }}\n")
    (tmp_path / "a/words.yaml").write_text("just words\n")
    (tmp_path / "a/app.txt").write_text("kind: Application")
    (tmp_path / ".git/app.yaml").write_text("kind: Application")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "a/pipe.yaml")
    result = check_paths([str(tmp_path)])
    assert (result.exit_code, result.checked, result.passed_over, result.findings) == (ExitCode.OK, 2, 3, ())
    (tmp_path / "a/template.yaml").write_text("kind: Application\nname: {{ .Values.name }}\n---\na: {{ x }}\n")
    (tmp_path / "a/self.yaml").symlink_to(tmp_path / "a/self.yaml")
    result = check_paths([str(tmp_path)])
    assert (result.exit_code, result.checked) == (ExitCode.UNREADABLE, 2)
    assert [(finding.rule, Path(finding.file).name) for finding in result.findings] == [
        ("unreadable", "self.yaml"),
        ("template", "template.yaml"),
    ]


def test_a_folder_without_files_is_a_warning(tmp_path):
    assert str(check_paths([str(tmp_path)]).findings[0]).endswith("holds no .yaml, .yml or .json file")


def test_each_file_is_checked_once_however_often_it_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("folder/app.yaml").write_text(GOOD)
    assert check_paths(["folder", "./folder", "folder/app.yaml", str(tmp_path / "folder")]).checked == 1


def test_a_pattern_is_expanded_as_kubectl_does_it_unless_it_is_a_files_name(tmp_path):
    for name in ("a.yaml", "b.yaml", "[c].yaml"):
        (tmp_path / name).write_text(GOOD)
    (tmp_path / "d").mkdir()
    (tmp_path / "d/e.yaml").write_text(GOOD)
    checked = {
        pattern: check_paths([str(tmp_path / pattern)]).checked for pattern in ("?.yaml", "[c].yaml", "*", "*/*")
    }
    assert checked == {"?.yaml": 2, "[c].yaml": 1, "*": 4, "*/*": 1}
    nothing = check_paths([str(tmp_path / "*.json")])
    assert (nothing.exit_code, str(nothing.findings[0]).endswith("No such file or directory")) == (2, True)


@pytest.mark.parametrize("path", ["", GOOD * 100, "\0", "[", "*" * 5000])
def test_a_path_that_no_file_has_is_unreadable(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    report = check_paths([path])
    assert (report.exit_code, report.findings[0].rule) == (ExitCode.UNREADABLE, "unreadable")


PATCH = (
    "apiVersion: core.oam.dev/v1beta1\nkind: Application\nmetadata: {name: hello}\nspec: {components: [{name: web}]}\n"
)
KUSTOMIZATIONS = {
    "kustomization.yaml": "patches: [{path: PATH, target: {kind: Application}}, {patch: '- op: x'}]",
    "kustomization.yml": "patchesStrategicMerge: [PATH, 'apiVersion: v1']",
    "Kustomization": "patchesJson6902: [{path: ./PATH}, 5]",
}


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
@pytest.mark.parametrize("place", ["patch.yaml", "patches/deep/patch.yaml"])
def test_a_patch_of_a_kustomization_is_no_object(tmp_path, monkeypatch, name, place):
    monkeypatch.chdir(tmp_path)
    patch = Path("overlay", place)
    patch.parent.mkdir(parents=True)
    patch.write_text(PATCH)
    assert check_paths(["."]).exit_code is ExitCode.ERRORS
    Path("overlay", name).write_text(KUSTOMIZATIONS[name].replace("PATH", place))
    for path in (".", str(patch), str(patch.absolute())):
        report = check_paths([path])
        assert (report.exit_code, report.checked, report.findings) == (ExitCode.OK, 0, ()), path


@pytest.mark.parametrize(
    "text", ["", "patches: {path: patch.yaml}", "patches: [patch.yaml]", "[1", "- patches", "\xff"]
)
def test_a_kustomization_that_cannot_be_read_names_no_patch(tmp_path, text):
    (tmp_path / "patch.yaml").write_text(PATCH)
    (tmp_path / "Kustomization").write_text(text, encoding="latin-1")
    assert check_paths([str(tmp_path)]).exit_code is ExitCode.ERRORS


VELAS = {
    "ComponentDefinition": "apiVersion: core.oam.dev/v1beta1\nkind: ComponentDefinition\nname: {{ .Values.x }}\n",
    "trait": "apiVersion: core.oam.dev/v1alpha2\nkind: ManualScalerTrait\nname: {{ .Values.x }}\n",
    "Application": (
        "apiVersion: core.oam.dev/v1beta1\nkind: Application\nnamespace: {{ .Values.x }}\n"
        "spec:\n  components:\n    - name: a\n      type: webservice\n---\na: {{ .Values.y }}\n"
    ),
}


@pytest.mark.parametrize("what", VELAS)
def test_templates_of_kubevelas_chart_are_somebody_elses_and_those_beside_them_are_not(tmp_path, what):
    (tmp_path / "vela.yaml").write_text(VELAS[what])
    report = check_paths([str(tmp_path)])
    assert (report.exit_code, report.passed_over) == (ExitCode.OK, 1)
    (tmp_path / "both.yaml").write_text(f"{VELAS[what]}---\n{GOOD.replace('hello', '{{ .Values.name }}')}")
    report = check_paths([str(tmp_path)])
    assert [(Path(finding.file).name, finding.rule) for finding in report.findings] == [("both.yaml", "template")]


def test_named_files_can_be_treated_like_found_ones(tmp_path):
    (tmp_path / "chart.yaml").write_text("kind: Deployment\nname: {{ .Values.name }}\n")
    assert check_paths([str(tmp_path / "chart.yaml")]).exit_code is ExitCode.UNREADABLE
    assert check_paths([str(tmp_path / "chart.yaml")], skip_foreign=True).findings == ()


def test_warnings_count_as_errors_when_strict(tmp_path):
    (tmp_path / "app.yaml").write_text(GOOD.replace("x:1", "file:///x"))
    assert check_paths([str(tmp_path)]).exit_code is ExitCode.OK
    assert check_paths([str(tmp_path)], strict=True).exit_code is ExitCode.ERRORS


def test_a_file_of_ten_megabytes_is_checked_in_seconds(tmp_path):
    one = "---\n" + GOOD + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: " + "x" * 9000 + "}\n"
    (tmp_path / "big.yaml").write_text(one * (10_000_000 // len(one)))
    before = time.process_time()
    result = check_paths([str(tmp_path / "big.yaml")])
    assert result.checked > 1000
    assert time.process_time() - before < 60


def bad_report(tmp_path):
    path = tmp_path / "a,b.yaml"
    path.write_text(GOOD.replace("type: component", 'type: "x%\\e[31m"').replace("x:1", "file:x"))
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    return path, check_paths([str(path), str(tmp_path / "gone.yaml")])


def test_the_output_for_a_terminal_holds_no_control_characters(tmp_path):
    _, report = bad_report(tmp_path)
    assert all(str(finding).isprintable() for finding in report.findings)


def test_json_output_has_every_finding_with_its_place(tmp_path):
    path, report = bad_report(tmp_path)
    found = json.loads(as_json(report))
    assert (found["exitCode"], found["checked"]) == (2, 1)
    assert found["findings"][0]["file"] == str(path)
    assert (found["findings"][0]["line"], found["findings"][0]["path"]) == (9, "spec.components[0].type")


def test_a_name_that_is_no_text_has_a_form_in_every_output(tmp_path):
    path = os.fsencode(tmp_path / "a") + b"\xff.yaml"
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - of bytes
        file.write(GOOD.replace("x:1", "file:x"))
    report = check_paths([os.fsdecode(path), str(tmp_path)])
    [finding] = report.findings
    assert finding.file.endswith("/a\\xff.yaml")
    for form in FORMATS.values():
        assert "xff.yaml" in form(report).encode().decode()


@pytest.mark.parametrize("form", ["text", "github"])
def test_the_lines_for_a_log_hold_no_control_characters(tmp_path, form):
    path, _ = bad_report(tmp_path)
    path.write_text(GOOD.replace("name: hello", 'name: "h\\e[31mi\\u2028::error::x"'))
    report = check_paths([str(path)])
    assert report.findings
    assert [line for line in FORMATS[form](report).split("\n") if not line.isprintable()] == []


def test_paths_are_those_of_a_repository_where_a_program_looks_for_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("app.yaml").write_text(GOOD.replace("x:1", "file:x"))
    report = check_paths(["./app.yaml"])
    assert as_github(report).startswith("::warning file=app.yaml,line=10,")
    place = json.loads(as_sarif(report))["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "app.yaml"}


def test_github_output_escapes_what_ends_a_command_or_a_property(tmp_path):
    _, report = bad_report(tmp_path)
    lines = as_github(report).splitlines()
    assert lines[0].startswith("::error file=")
    assert (
        "a%2Cb.yaml,line=9,col=7,title=Application hello::Application hello: spec.components[0].type: 'x%25" in lines[0]
    )
    assert len(lines) == len(report.findings) + 1


def test_sarif_output_names_only_rules_that_it_describes(tmp_path):
    _, report = bad_report(tmp_path)
    [run] = json.loads(as_sarif(report))["runs"]
    rules = {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    assert rules == set(RULES)
    assert {result["ruleId"] for result in run["results"]} <= rules
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 9, "startColumn": 7}
    assert place["artifactLocation"]["uri"].endswith("/a%2Cb.yaml")
