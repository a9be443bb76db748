"""The check of files: what is found in them, where, and with which exit code."""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasmcloud_operator.commands.check import ExitCode, check_files

GOOD = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata:
  name: hello
  annotations: {version: "1"}
spec:
  components:
    - name: web
      type: component
      properties: {image: "x:1"}
      traits: [{type: spreadscaler, properties: {instances: 1}}]
"""


@pytest.fixture
def check(tmp_path):
    def run(text: str | bytes):
        path = tmp_path / "app.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        result = check_files([path])
        lines = [line.removeprefix(str(path)) for line in result.lines]
        return result.exit_code, result.checked, lines

    return run


def test_a_good_file_says_nothing(check):
    assert check(GOOD) == (ExitCode.OK, 1, [])


def test_a_problem_names_file_document_application_and_path(check):
    code, checked, lines = check(
        f"{GOOD}---\n---\n{GOOD.replace('hello', 'second').replace('type: component', 'type: x')}"
    )
    assert (code, checked) == (ExitCode.ERRORS, 2)
    assert len(lines) == 1
    assert lines[0].startswith(", document 3 (second): error: spec.components[0].type: 'x' is not a type of component")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("name: hello", "name: Hello", "(Hello): warning: metadata.name: is a name that Kubernetes cannot hold"),
        ("name: hello", "name: my_app", "(my_app): warning: metadata.name: is a name that Kubernetes cannot hold"),
        ("name: hello", "name: -a", "(-a): warning: metadata.name: is a name that Kubernetes cannot hold"),
        ('  annotations: {version: "1"}\n', "", "warning: metadata.annotations: is missing"),
        ("spec:", "status: {phase: Deployed}\nspec:", "warning: status: is written by the operator"),
    ],
)
def test_a_fault_for_kubernetes_or_wash_alone_is_a_warning(check, old, new, line):
    code, _, lines = check(GOOD.replace(old, new, 1))
    assert code is ExitCode.OK
    assert [line in found for found in lines] == [True]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("name: hello", "name: he.llo", "error: metadata.name: must consist of letters"),
        (
            'version: "1"',
            "version: 1",
            "error: metadata.annotations.version: must be a string, not a number: put it in",
        ),
        ('version: "1"', "team: 1", "error: metadata.annotations.team: must be a string"),
        ('version: "1"', "version: latest", "error: metadata.annotations.version: latest means the newest"),
        ('{image: "x:1"}', "{}", "error: spec.components[0].properties: needs image"),
        ("kind: Application", "", "error: kind: is required"),
        ("spec:", "spek:", "error: spec: is required"),
    ],
)
def test_errors_end_with_1(check, old, new, line):
    code, _, lines = check(GOOD.replace(old, new, 1))
    assert code is ExitCode.ERRORS
    assert [found for found in lines if line in found]


def doubled(entry, first):
    """A list of thirty entries, each of which is twice the one before it."""
    entries = [f"- &a0 {first}", *(f"- &a{number + 1} {entry.format(number)}" for number in range(30))]
    return "\n".join(entries)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "error: is not YAML"),
        ("a: 1\na: 2\n", "the key 'a' is there twice"),
        (b"\xff\xfe\x00x", "error: is not"),
        ("[" * 5000, "error: is nested too deeply"),
        ("!!python/object/apply:os.system [x]", "error: is not YAML"),
        ("name: {{ .Values.name }}", "a key is no text: a template"),
        ("? [a]\n: b", "a key is no text"),
        ("~: b", "a key is no text"),
        ('1: a\n"1": b', "the key '1' is there twice"),
        ("a: !!int x", "this is no int"),
        ("a: !!bool x", "this is no bool"),
        ("a: !!timestamp x", "this is no timestamp"),
        (f"a: {'1' * 5000}", "this is no int"),
        ("a: &a {b: *a}", "recursive"),
        ("a: &a [*a]", "recursive"),
        (doubled("[*a{0}, *a{0}]", "[x]"), "holds more than 1,000,000 values"),
        (doubled("{{<<: [*a{0}, *a{0}]}}", "{x: 1}"), "holds more than 1,000,000 values"),
    ],
)
def test_a_file_that_is_not_yaml_ends_with_2(check, text, line):
    code, _, lines = check(text)
    assert code is ExitCode.UNREADABLE
    assert len(lines) == 1
    assert line in lines[0]


def test_a_missing_file_ends_with_2_and_the_others_are_checked(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    result = check_files([str(tmp_path / "gone.yaml"), str(tmp_path / "good.yaml")])
    assert result.exit_code is ExitCode.UNREADABLE
    assert result.checked == 1
    assert "cannot be read: No such file" in str(result.findings[0])


@pytest.mark.parametrize(
    "text", ["", "---\n", "apiVersion: v1\nkind: Secret\n", "apiVersion: argoproj.io/v1alpha1\nkind: Application\n"]
)
def test_a_file_without_applications_is_a_warning(check, text):
    code, checked, lines = check(text)
    assert (code, checked) == (ExitCode.OK, 0)
    assert lines == [": warning: holds no Application of core.oam.dev/v1beta1"]


def test_text_is_no_manifest(check):
    code, _, lines = check("just some text\n")
    assert code is ExitCode.ERRORS
    assert lines == [", document 1: error: is not a manifest: it must have apiVersion, kind, metadata and spec"]


def test_annotations_that_never_reach_wadm_are_not_judged_by_its_rules(check):
    code, _, lines = check(GOOD.replace('version: "1"', '3scale.net/team: "x"'))
    assert (code, lines) == (ExitCode.OK, [])


@given(
    st.recursive(
        st.sampled_from(
            ["x", "1", "0x_", "!!int x", "!!bool 1", "~", "2024-01-01", "*a", "&a b", '"', "{{ .x }}", "<<"]
        ),
        lambda inner: (
            st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
            | st.lists(st.tuples(inner, inner), max_size=3).map(
                lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items) + "}"
            )
            | inner.map(lambda item: f"&a {item}")
        ),
    )
)
def test_no_text_breaks_it(text):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "app.yaml"
        path.write_text(GOOD.replace('{image: "x:1"}', text))
        result = check_files([path])
    assert result.exit_code is ExitCode.UNREADABLE or result.checked == 1


@pytest.mark.parametrize("key", ["1", "1.5", "true", "2024-01-01"])
def test_keys_are_text_as_kubernetes_reads_them(check, key):
    code, _, lines = check(GOOD.replace('{image: "x:1"}', f'{{image: "x:1", {key}: x}}'))
    assert code is ExitCode.ERRORS
    assert key in lines[0]


def test_dates_and_numbers_are_what_wadm_sees(check):
    assert check(GOOD.replace('"1"', "2024-01-01"))[2] == []


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(GOOD.replace("x:1", "")))
    assert check_files(["-"]).checked == 1


SERVER = """\
    - name: httpserver
      type: capability
      properties: {image: "ghcr.io/wasmcloud/http-server:0.27.0"}
      traits:
        - type: link
          properties:
            namespace: wasi
            package: http
            interfaces: [incoming-handler]
            target: {name: web}
            source: {config: [{name: c, properties: {address: "ADDRESS"}}]}
"""


@pytest.mark.parametrize(
    ("address", "severity", "word"),
    [
        ("0.0.0.0:4222", "error", "port 4222 is that of the NATS leaf node in the pod"),
        ("0.0.0.0:8222", "error", "port 8222 is that of the NATS leaf node's monitoring"),
        ("0.0.0.0:9090", "warning", "port 9090 is that of the host's admin endpoint"),
        ("127.0.0.1:8080", "warning", "reached from inside the pod only"),
        ("0.0.0.0:80800", "warning", "the port must be from 1 to 65535"),
    ],
)
def test_an_endpoint_out_of_reach_is_reported_before_anything_runs(check, address, severity, word):
    code, _, lines = check(GOOD + SERVER.replace("ADDRESS", address))
    assert code == (ExitCode.ERRORS if severity == "error" else ExitCode.OK)
    [line] = lines
    assert f"{severity}: spec.components[1]" in line
    assert word in line
    assert check(GOOD + SERVER.replace("ADDRESS", "0.0.0.0:8080")) == (ExitCode.OK, 1, [])


def test_a_component_that_wadm_would_not_start_is_a_warning(check):
    without = GOOD.replace("      traits: [{type: spreadscaler, properties: {instances: 1}}]\n", "")
    code, _, lines = check(without)
    assert code == ExitCode.OK
    assert ["no spreadscaler or daemonscaler" in line for line in lines] == [True]
    link = "{type: link, properties: {namespace: a, package: b, interfaces: [c], target: {name: web}}}"
    assert len(check(GOOD.replace("{type: spreadscaler, properties: {instances: 1}}", link))[2]) == 1
    assert check(without.replace("type: component", "type: capability")) == (ExitCode.OK, 1, [])


@pytest.mark.parametrize(
    ("new", "lines"),
    [
        ("  annotations: {version: null, wasmcloud.dev/homepage: }\n", 0),
        ("  annotations: {}\n  labels: {wasmcloud.dev/team: }\n", 0),
        ("  annotations:\n", 1),  # as one that is not there: a warning
    ],
)
def test_null_counts_as_left_out_as_for_kubernetes(check, new, lines):
    code, _, found = check(GOOD.replace('  annotations: {version: "1"}\n', new))
    assert (code, len(found)) == (ExitCode.OK, lines)
    text = GOOD.replace('{image: "x:1"}', '{image: "x:1", config: null, id: ~}')
    assert check(text) == (ExitCode.OK, 1, [])
