"""Which documents the check reads from files, folders and standard input, and as objects of which kind."""

from __future__ import annotations

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.objects.checked_manifests import GOOD, HOSTS
from wasmcloud_operator.commands.check import check_paths
from wasmcloud_operator.commands.checking.findings import ExitCode


def doubled(entry, first):
    """A list of thirty entries, each of which is twice the one before it."""
    entries = [f"- &a0 {first}", *(f"- &a{number + 1} {entry.format(number)}" for number in range(30))]
    return "\n".join(entries)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "error: is not YAML"),
        ("a: 1\na: 2\n", "the key 'a' is there twice"),
        (b"\xff\xff\x00x", "error: is not"),
        ("[" * 5000, "error: is nested too deeply"),
        ("!!python/object/apply:os.system [x]", "has the tag !!python/object/apply:os.system, which means nothing"),
        ("a: !Ref x", "has the tag !Ref, which means nothing to Kubernetes"),
        ("name: {{ .Values.name }}", ":1:7: error: is a template that is not rendered ({{ … }})"),
        ("a: 1\n{% if x %}\nb: 1\n{% endif %}", ":2:1: error: is a template that is not rendered ({% … %})"),
        ("a:\n\tb: 1", ":2:1: error: is not YAML: a tab indents this line, YAML takes spaces only"),
        ("a: 1\nb: 2\na: 3\n", ":3:1: error: the key 'a' is there twice, first in line 1: remove one"),
        ("a: \x00", "holds the character U+0000, which YAML does not take: is it a binary file?"),
        ("a: .inf", ".inf is no number that JSON has"),
        ("a: *b", "error: is not YAML"),
        ("<<: x", "after << must stand an object"),
        ("{a: " * 100_000, "error: is nested too deeply"),
        (doubled("[*a{0}, *a{0}]", f"[{'x' * 100_000}]"), "holds more than 1,000,000 values"),
        ("? [a]\n: b", "a key is no text"),
        ("~: b", "a key is no text"),
        ('1: a\n"1": b', "the key '1' is there twice"),
        ("a: !!int x", "this is no int"),
        ("a: !!bool x", "this is no bool"),
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
    result = check_paths([str(tmp_path / "gone.yaml"), str(tmp_path / "good.yaml")])
    assert result.exit_code is ExitCode.UNREADABLE
    assert result.checked == 1
    assert "cannot be read: No such file" in str(result.findings[0])


@pytest.mark.parametrize(
    "text", ["", "---\n", "apiVersion: v1\nkind: Secret\n", "apiVersion: argoproj.io/v1alpha1\nkind: Application\n"]
)
def test_a_file_without_anything_to_check_is_a_warning(check, text):
    code, checked, lines = check(text)
    assert (code, checked) == (ExitCode.OK, 0)
    assert lines == [": warning: holds no Application or WasmCloudHostConfig"]


def test_text_is_no_manifest(check):
    code, _, lines = check("just some text\n")
    assert code is ExitCode.ERRORS
    assert lines == [":1:1: error: is not a manifest: it must have apiVersion, kind, metadata and spec"]


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
        result = check_paths([str(path)])
    assert result.exit_code is ExitCode.UNREADABLE or result.checked == 1


@pytest.mark.parametrize("key", ["1", "1.5", "true", "2024-01-01"])
def test_keys_are_text_as_kubernetes_reads_them(check, key):
    code, _, lines = check(GOOD.replace('{image: "x:1"}', f'{{image: "x:1", {key}: x}}'))
    assert code is ExitCode.ERRORS
    assert key in lines[0]


def test_dates_and_numbers_are_what_wadm_sees(check):
    assert check(GOOD.replace('"1"', "2024-01-01"))[2] == []


def test_json_has_two_escapes_for_a_character_that_yaml_has_one_for(check):
    good = yaml.safe_load(GOOD)
    good["metadata"]["annotations"] = {"a": "\U0001f600 \\ud83d\\ude00", "b": "\U0010ffff"}
    assert "\\ud83d" in json.dumps(good)
    assert check(json.dumps(good)) == (ExitCode.OK, 1, [])
    good["metadata"]["annotations"]["version"] = "latest"
    _, _, [line] = check(json.dumps(good, indent=1))
    assert line.startswith(":9:4: error: ")


@pytest.mark.parametrize("mark", ["*", "!", "!!"])
def test_a_password_that_yaml_takes_for_something_else_is_not_repeated(check, mark):
    code, _, [line] = check(f"a:\n  password: {mark}hunter2\n")
    assert (code, "put it in quotes" in line, "hunter2" in line) == (ExitCode.UNREADABLE, True, False)


def test_a_closed_standard_input_cannot_be_read(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    result = check_paths(["-"])
    assert (result.exit_code, str(result.findings[0])) == (2, "<stdin>: error: cannot be read: it is closed")


@pytest.mark.parametrize("line", ["", "%", "%YAML 1.1", "- ", "{"])
def test_many_lines_of_one_kind_cost_no_more_than_their_number(tmp_path, line):
    (tmp_path / "many.yaml").write_text(f"{line}\n" * 300_000 + "a: [")
    assert check_paths([str(tmp_path)]).passed_over == 1


def test_a_break_that_only_yaml_knows_begins_no_line_of_the_file(check):
    text = GOOD.replace('version: "1"', 'a: "x\u2028y", b: "x\x85y", c: "x\u2029y"').replace("x:1", "")
    _, _, [line] = check(f"{text}---\n{GOOD.replace('hello', 'other')}")
    assert line.startswith(":10:20: warning")


def test_directives_belong_to_the_document_below_them(check):
    text = f"%YAML 1.1\n---\n{GOOD}...\n%YAML 1.1\n%TAG ! x\n---\n{GOOD.replace('hello', 'second').replace('x:1', '')}"
    _, checked, [line] = check(text)
    assert (checked, line.startswith(":27:20: warning: Application second:")) == (2, True)


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.replace("x:1", "").encode())))
    result = check_paths(["-"])
    assert (result.checked, str(result.findings[0]).split()[0]) == (1, "<stdin>:10:20:")


@pytest.mark.parametrize(
    ("api_version", "kind", "message"),
    [
        ("core.oam.dev/v1beta1", "Aplication", "kind: 'Aplication' is no kind of core.oam.dev: write Application"),
        ("core.oam.dev/v1beta1", "application", "kind: 'application' is no kind of core.oam.dev: write Application"),
        ("core.oam.dev/v1beta1", "Deployment", "kind: 'Deployment' is no kind of core.oam.dev: write Application"),
        ("core.oam.dev/v1alpha2", "Application", "apiVersion: 'core.oam.dev/v1alpha2' is no version that is served"),
        (
            "core.oam.dev",
            "Application",
            "apiVersion: 'core.oam.dev' is no version that is served: write core.oam.dev/v1",
        ),
        ("core.oma.dev/v1beta1", "Application", "has no Application: write core.oam.dev/v1beta1"),
        ("core.oma.dev/v1beta1", "App", "apiVersion: 'core.oma.dev/v1beta1' is not known: write core.oam.dev/v1beta1"),
        ("k8s.wasmcloud.dev/v1alpha1", "HostConfig", "kind: 'HostConfig' is no kind of k8s.wasmcloud.dev: write Wasm"),
        ("k8s.wasmcloud.dev/v1", "WasmCloudHostConfig", "write k8s.wasmcloud.dev/v1alpha1"),
        ("wasmcloud.dev/v1", "WasmcloudHostConfig", "has no WasmCloudHostConfig: write k8s.wasmcloud.dev/v1alpha1"),
        ("v1", "WasmCloudHostConfigs", "has no WasmCloudHostConfig: write k8s.wasmcloud.dev/v1alpha1"),
        ("v1", ["x"], None),
        ("argoproj.io/v1alpha1", "Application", None),
        ("argoproj.io/v1alpha1", "ApplicationSet", None),
        ("app.k8s.io/v1beta1", "Application", None),
        ("core.oam.dev/v1beta1", "ComponentDefinition", None),
        ("core.oam.dev/v1alpha2", "ApplicationConfiguration", None),
        ("core.oam.dev/v1alpha2", "ManualScalerTrait", None),
        ("core.oam.dev/v1alpha1", "WorkflowRun", None),
        ("runtime.wasmcloud.dev/v1alpha1", "Host", None),
        ("apps/v1", "Deployment", None),
    ],
)
def test_a_slip_in_apiversion_or_kind_is_an_error_and_another_projects_kind_is_none(check, api_version, kind, message):
    text = json.dumps({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}})
    code, checked, lines = check(text)
    assert checked == 0
    if message is None:
        assert lines == [": warning: holds no Application or WasmCloudHostConfig"]
    else:
        assert (code, len(lines)) == (ExitCode.ERRORS, 1)
        assert message in lines[0]


def test_lists_are_checked_item_by_item(check):
    item = "".join(f"  {line}\n" for line in GOOD.replace("type: component", "type: x").splitlines()).replace(
        "  ", "- ", 1
    )
    hosts = {"apiVersion": "k8s.wasmcloud.dev/v1alpha1", "kind": "WasmCloudHostConfigList", "items": [{"kind": 1}]}
    code, checked, lines = check(f"apiVersion: v1\nkind: List\nitems:\n{item}---\n{json.dumps(hosts)}")
    assert (code, checked, len(lines)) == (ExitCode.ERRORS, 1, 1)
    assert lines[0].startswith(":12:9: error: Application hello: items[0].spec.components[0].type: 'x' is not a type")


def test_the_second_object_of_a_name_in_a_file_is_a_warning(check):
    code, checked, lines = check(f"{GOOD}---\n{GOOD}---\n{GOOD.replace('name: hello', 'name: hello, namespace: a')}")
    assert (code, checked) == (ExitCode.UNREADABLE, 2)
    assert any("is also the name of the Application in line 1, which this one overwrites" in line for line in lines)


def test_a_fault_in_one_document_leaves_the_others_checked(check):
    code, checked, lines = check(f"a: [\n---\n{GOOD}---\n\tb: 1\n--- # the last\n{HOSTS}")
    assert (code, checked, len(lines)) == (ExitCode.UNREADABLE, 2, 2)
    assert ":15:1: error: is not YAML: a tab indents this line" in lines[1]


@pytest.mark.parametrize(
    "text",
    [
        f"\ufeff{GOOD}",
        GOOD.replace("\n", "\r\n"),
        f"%YAML 1.1\n---\n{GOOD}...\n",
        f"# Source: chart/templates/app.yaml\n---\n# only a comment\n---\n{GOOD}",
        GOOD.replace("    - name: web", "    - &web\n      name: web"),
        GOOD.replace('{image: "x:1"}', "{<<: {image: y}, image: 'x:1'}"),
        GOOD.encode("utf-16"),
        b"\xfe\xff" + GOOD.encode("utf-16-be"),
        f"# first\n---\n\ufeff{GOOD}",
        GOOD.replace("instances: 1", "instances: 1e3"),
    ],
)
def test_forms_that_kubectl_takes_are_taken(check, text):
    assert check(text) == (ExitCode.OK, 1, [])


def test_json_objects_follow_each_other_without_a_divider(check):
    def written(name, **properties):
        component = {"name": "a", "type": "component", "properties": properties}
        metadata = {"name": name, "annotations": {}}
        about = {"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": metadata}
        return json.dumps({**about, "spec": {"components": [component]}})

    code, checked, lines = check(f"\n{written('one', image='x:1')}\n{written('two')}{written('three', image='x:1')}\n")
    assert (code, checked) == (ExitCode.ERRORS, 3)
    assert [line.split(": spec")[0] for line in lines if "error" in line] == [":3:170: error: Application two"]
    assert check("{a: 1}\n{b: 2}")[0] is ExitCode.UNREADABLE


@pytest.mark.parametrize("kind", ["list", "Lists", "ApplicationsList"])
def test_a_list_that_kubectl_does_not_know_is_an_error_where_it_holds_something_of_ours(check, kind):
    item = {"apiVersion": "core.oam.dev/v1beta1", "kind": "Application", "metadata": {"name": "x"}}
    code, checked, lines = check(json.dumps({"apiVersion": "v1", "kind": kind, "items": [item]}))
    assert (code, checked, len(lines)) == (ExitCode.ERRORS, 0, 1)
    assert "is no list that kubectl knows: write List" in lines[0]
    others = {"apiVersion": "v1", "kind": "PodList", "items": [{"kind": "Pod"}, "x"]}
    assert check(json.dumps(others))[2] == [": warning: holds no Application or WasmCloudHostConfig"]


def test_a_bare_list_of_objects_is_an_error_also_in_a_folder(tmp_path):
    item = "".join(f"  {line}\n" for line in GOOD.splitlines()).replace("  ", "- ", 1)
    (tmp_path / "all.yaml").write_text(item)
    (tmp_path / "others.yaml").write_text("- a\n- b: 1\n")
    report = check_paths([str(tmp_path)])
    assert (report.exit_code, report.passed_over) == (ExitCode.ERRORS, 1)
    assert ["is a list of objects, which kubectl does not take" in str(line) for line in report.findings] == [True]


@pytest.mark.parametrize("api_version", ["v1beta1", "v1", "apps/v1", 1, ["core.oam.dev/v1beta1"], "", None])
@pytest.mark.parametrize("kind", ["Application", "Applicaton", "App"])
def test_an_object_shaped_like_an_application_is_checked_as_one_whatever_its_kind(check, api_version, kind):
    component = {"name": "a", "type": "component", "properties": {"image": "x:1"}}
    text = json.dumps({"apiVersion": api_version, "kind": kind, "spec": {"components": [component]}})
    code, checked, lines = check(text)
    assert (code, checked, len(lines)) == (ExitCode.ERRORS, 0, 1)
    assert "core.oam.dev/v1beta1" in lines[0]


def test_a_host_config_without_kind_and_apiversion_is_known_by_its_spec(check):
    hosts = "\n".join(line for line in HOSTS.splitlines() if not line.startswith(("kind", "apiVersion")))
    code, _, lines = check(hosts)
    assert (code, len(lines)) == (ExitCode.ERRORS, 1)
    assert "kind: is required: write WasmCloudHostConfig, with apiVersion k8s.wasmcloud.dev/v1alpha1" in lines[0]
    assert check("spec: {lattice: x}")[0] is ExitCode.OK


def test_a_conflict_that_a_merge_left_is_named_with_its_place(check):
    code, _, lines = check(GOOD.replace("spec:", "<<<<<<< HEAD\nspec:\n=======\nspec: {}\n>>>>>>> other", 1))
    assert (code, lines) == (ExitCode.UNREADABLE, [":6:1: error: is not YAML: a conflict of a merge is left here"])


def test_words_and_numbers_are_read_as_kubectl_reads_them(check):
    for word in ("yes", "on", "0x10", "1_000", "017", "1e3", ".5", "y"):
        assert "must be a string, not a" in check(GOOD.replace('"1"', word))[2][0], word
    for word in ("22:22", "2024-01-01", "1.2.3", "0b2", "09x", "yEs", "=", "1" * 5000):
        assert check(GOOD.replace('"1"', word))[2] == [], word
