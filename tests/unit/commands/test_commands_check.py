"""The check of files: what is found in them, where, and with which exit code."""

from __future__ import annotations

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.objects.checked_manifests import GOOD, HOSTS
from wasmcloud_operator.commands.check import check_paths
from wasmcloud_operator.commands.checking.findings import ExitCode


def test_a_good_file_says_nothing(check):
    assert check(GOOD) == (ExitCode.OK, 1, [])


def test_a_problem_names_file_line_column_object_and_path(check):
    code, checked, lines = check(
        f"{GOOD}---\n---\n{GOOD.replace('hello', 'second').replace('type: component', 'type: x')}"
    )
    assert (code, checked) == (ExitCode.ERRORS, 2)
    assert len(lines) == 1
    start = ":22:7: error: Application second: spec.components[0].type: 'x' is not a type of component"
    assert lines[0].startswith(start)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "name: hello",
            "name: Hello",
            "warning: Application Hello: metadata.name: is a name that Kubernetes cannot hold",
        ),
        (
            "name: hello",
            "name: my_app",
            "warning: Application my_app: metadata.name: is a name that Kubernetes cannot hold",
        ),
        ("name: hello", "name: -a", "warning: Application -a: metadata.name: is a name that Kubernetes cannot hold"),
        ('  annotations: {version: "1"}\n', "", "warning: Application hello: metadata.annotations: is missing"),
        ("spec:", "status: {phase: Deployed}\nspec:", "warning: Application hello: status: is written by the operator"),
    ],
)
def test_a_fault_for_kubernetes_or_wash_alone_is_a_warning(check, old, new, line):
    code, _, lines = check(GOOD.replace(old, new, 1))
    assert code is ExitCode.OK
    assert [line in found for found in lines] == [True]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("name: hello", "name: he.llo", "error: Application he.llo: metadata.name: must consist of letters"),
        (
            'version: "1"',
            "version: 1",
            "error: Application hello: metadata.annotations.version: must be a string, not a number: put it in",
        ),
        ('version: "1"', "team: 1", "error: Application hello: metadata.annotations.team: must be a string"),
        (
            'version: "1"',
            "version: latest",
            "error: Application hello: metadata.annotations.version: latest means the newest",
        ),
        ('{image: "x:1"}', "{}", "error: Application hello: spec.components[0].properties: needs image"),
        ("kind: Application", "", "error: hello: kind: is required"),
        ("spec:", "spek:", "error: Application hello: spec: is required"),
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
        result = check_paths([str(path)])
    assert result.exit_code is ExitCode.UNREADABLE or result.checked == 1


@pytest.mark.parametrize("key", ["1", "1.5", "true", "2024-01-01"])
def test_keys_are_text_as_kubernetes_reads_them(check, key):
    code, _, lines = check(GOOD.replace('{image: "x:1"}', f'{{image: "x:1", {key}: x}}'))
    assert code is ExitCode.ERRORS
    assert key in lines[0]


def test_dates_and_numbers_are_what_wadm_sees(check):
    assert check(GOOD.replace('"1"', "2024-01-01"))[2] == []


def test_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.replace("x:1", "").encode())))
    result = check_paths(["-"])
    assert (result.checked, str(result.findings[0]).split()[0]) == (1, "<stdin>:10:20:")


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
    assert f"{severity}: Application hello: spec.components[1]" in line
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


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("lattice:", "latice:", ":5:3: error: WasmCloudHostConfig edge: spec.latice: is no field"),
        ("  lattice: default\n", "", ":4:1: error: WasmCloudHostConfig edge: spec.lattice: is required"),
        ("default", "a.b", ":5:3: error: WasmCloudHostConfig edge: spec.lattice: must match"),
        ("1.9.0", "1.9", ":6:3: error: WasmCloudHostConfig edge: spec.version: must be a string: put it in quotes"),
        ("name: edge", "name: Edge", ":3:12: error: WasmCloudHostConfig Edge: metadata.name: is a name that Kub"),
        (
            "name: edge",
            "nam: edge",
            "error: WasmCloudHostConfig: metadata.nam: is no field: `kubectl apply` refuses it",
        ),
        ("1.9.0", "1.9.0\n  hostReplicas: -1", ":7:3: error: WasmCloudHostConfig edge: spec.hostReplicas: must be"),
        ("1.9.0", "1.9.0\n  natsAddress: http://x", "spec.natsAddress: address 1 has an unknown scheme"),
        ("1.9.0", "1.9.0\n  natsAddress: nats://127.0.0.1", "warning: WasmCloudHostConfig edge: spec.natsAddress: is"),
        (
            "1.9.0",
            "1.9.0\n  schedulingOptions:\n    podTemplateAdditions: {nodeselector: {}}",
            ":8:28: error: WasmCloudHostConfig edge: spec.schedulingOptions.podTemplateAdditions.nodeselector: is no",
        ),
        (
            "1.9.0",
            "1.9.0\n  schedulingOptions:\n    podTemplateAdditions: {containers: [{name: wasmcloud-host}]}",
            ":8:41: error: WasmCloudHostConfig edge: spec.schedulingOptions.podTemplateAdditions.containers[0]: wasm",
        ),
        (
            "1.9.0",
            "1.9.0\n  schedulingOptions:\n    podTemplateAdditions: {tolerations: [{key: 1}]}",
            "spec.schedulingOptions.podTemplateAdditions.tolerations[0].key: must be a string: put it in quotes",
        ),
        ("1.9.0", "1.9.0\n  daemonset: true\n  schedulingOptions: {daemonset: false}", "contradict each other"),
        ("1.9.0", "1.0.0\n  maxLinearMemoryBytes: 70000", "warning: WasmCloudHostConfig edge: spec.maxLinearMemoryByt"),
    ],
)
def test_a_host_config_is_checked_by_its_model_its_schema_and_the_operators_own_rules(check, old, new, line):
    assert check(HOSTS) == (ExitCode.OK, 1, [])
    code, _, lines = check(HOSTS.replace(old, new, 1))
    assert code is (ExitCode.OK if "warning" in line else ExitCode.ERRORS)
    assert [line in found for found in lines].count(True) == 1, lines


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


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("instances: 1", "instances: -1", "must be a whole number, 0 or more, not a negative one"),
        ("instances: 1", "instances: 1.5", "must be a whole number, 0 or more, not a number with a fraction"),
        ("instances: 1", "instances: 99999999999999999999999", "must be a whole number, 18446744073709551615 at most"),
        ("instances: 1", "instances: yes", "must be a whole number, 0 or more, not a boolean"),
        (
            "x:1",
            "file:///build/web.wasm",
            "warning: Application hello: spec.components[0].properties.image: is a file,",
        ),
        (
            "name: hello",
            "name: hello\n  nam: x",
            "warning: Application hello: metadata.nam: is no field: `kubectl apply`",
        ),
        ("name: hello", "name: hello\n  labels: {a: 'x y'}", "metadata.labels.a: is no value of a label that Kuber"),
        ("x:1", "x:{{ .Values.tag }}", "looks like a template that is not rendered ({{ … }})"),
        ("x:1", "x:${TAG}", "looks like a template that is not rendered (${…})"),
        ('version: "1"', 'version: "1", k8s.wasmcloud.dev/service-type: Node', "must be one of ClusterIP, NodePort"),
    ],
)
def test_an_application_is_checked_for_kubernetes_too(check, old, new, line):
    _, _, lines = check(GOOD.replace(old, new, 1))
    assert [line in found for found in lines] == [True], lines


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


@pytest.mark.parametrize(
    ("image", "word"),
    [
        ("ghcr.io/x/y:$TAG", "is no name of an image"),
        ("ghcr.io/x/y:$(TAG)", "is no name of an image"),
        ("ghcr.io/x/y:${TAG:-1}", "looks like a template"),
        ("“ghcr.io/x/y:1”", "is no name of an image"),
        ("ghcr.io/X/y:1", "is no name of an image"),
        ("localhost:5000/x:1", "is at the pod of the host"),
        ("127.0.0.1:5000/x:1", "is at the pod of the host"),
        ("[::1]:5000/x:1", "is at the pod of the host"),
        ("registry:5000/x:1", None),
        ("ghcr.io/x/y.z_a__b--c:v1.0-rc.1", None),
        (f"ghcr.io/x/y@sha256:{'a' * 64}", None),
        ("localhost/x", "is at the pod of the host"),
        ("x/localhost:1", None),
        ("[2001:db8::1]:5000/x/y", None),
    ],
)
def test_an_image_that_no_host_could_fetch_is_a_warning(check, image, word):
    code, _, lines = check(GOOD.replace("x:1", image))
    assert code is ExitCode.OK
    assert [word in line for line in lines] == ([True] if word else []), lines


def test_a_conflict_that_a_merge_left_is_named_with_its_place(check):
    code, _, lines = check(GOOD.replace("spec:", "<<<<<<< HEAD\nspec:\n=======\nspec: {}\n>>>>>>> other", 1))
    assert (code, lines) == (ExitCode.UNREADABLE, [":6:1: error: is not YAML: a conflict of a merge is left here"])


def test_words_and_numbers_are_read_as_kubectl_reads_them(check):
    for word in ("yes", "on", "0x10", "1_000", "017", "1e3", ".5", "y"):
        assert "must be a string, not a" in check(GOOD.replace('"1"', word))[2][0], word
    for word in ("22:22", "2024-01-01", "1.2.3", "0b2", "09x", "yEs", "=", "1" * 5000):
        assert check(GOOD.replace('"1"', word))[2] == [], word
