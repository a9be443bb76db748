"""The check of files: what is found in them, where, and with which exit code."""

from __future__ import annotations

import json
import re

import pytest

from support.objects.checked_manifests import GOOD, HOSTS
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


def test_annotations_that_never_reach_wadm_are_not_judged_by_its_rules(check):
    code, _, lines = check(GOOD.replace('version: "1"', '3scale.net/team: "x"'))
    assert (code, lines) == (ExitCode.OK, [])


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
        ("lattice:", "latice:", "spec.latice: is no field: `kubectl apply` refuses it; did you mean spec.lattice?"),
        (
            "1.9.0",
            "1.9.0\nnatsAddress: nats://x",
            "natsAddress: is no field: `kubectl apply` refuses it; did you mean spec.natsAddress?",
        ),
        ("1.9.0", "1.9.0\n  resources: {}", "did you mean spec.schedulingOptions.resources?"),
        ("1.9.0", "1.9.0\n  certificates: {authorities: [{nam: x}]}", "mean spec.certificates.authorities[0].name?"),
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


def test_a_field_like_no_other_is_refused_without_a_guess(check):
    _, _, (line,) = check(HOSTS.replace("1.9.0", "1.9.0\n  otelEndpoint: x"))
    assert line.endswith("spec.otelEndpoint: is no field: `kubectl apply` refuses it")


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
        ("x:1", "x:${{ values.tag | dump }}", "looks like a template that is not rendered ({{ … }})"),
        ("x:1", "x:{{path.basename}}", "looks like a template that is not rendered ({{ … }})"),
        ("x:1", "x:{{project-name}}", "looks like a template that is not rendered ({{ … }})"),
        ("x:1", "x:{% if a %}1{% endif %}", "looks like a template that is not rendered ({% … %})"),
        ("x:1", "x:<%= tag %>", "looks like a template that is not rendered (<% … %>)"),
        ('version: "1"', 'version: "1", k8s.wasmcloud.dev/service-type: Node', "must be one of ClusterIP, NodePort"),
    ],
)
def test_an_application_is_checked_for_kubernetes_too(check, old, new, line):
    _, _, lines = check(GOOD.replace(old, new, 1))
    assert [line in found for found in lines] == [True], lines


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


WARNED = f"{HOSTS}  natsAddress: nats://127.0.0.1:4222\n  observability: {{enable: true}}\n"
WARNINGS = [
    "spec.observability.endpoint: is missing: hosts send logs to their own pod",
    "spec.natsAddress: is the pod itself, where the leaf node listens and no hub",
]


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        ("", "", []),
        ("version: 1.9.0", "version: 1.9.0\n  colour: red", ["spec.colour: is no field"]),
        ("version: 1.9.0", "version: 1.9.0\n  hostReplicas: -1", ["spec.hostReplicas: must be greater"]),
        ("version: 1.9.0", "colour: red", ["spec.colour: is no field", "spec.version: is required"]),
        ("version: 1.9.0", "version: 5", ["spec.version: must be a string"]),
        ("  lattice: default\n", "", ["spec.lattice: is required"]),
        ("name: edge", "name: Edge", ["metadata.name: is a name that Kubernetes cannot hold"]),
        ("{name: edge}", "{}", ["metadata.name: is required"]),
        (
            "version: 1.9.0",
            "version: 1.9.0\n  certificates: {authorities: [{name: a, configMap: {name: b}}, {nam: b}]}",
            ["spec.certificates.authorities[1].nam: is no field", "spec.certificates.authorities[1].name: is required"],
        ),
    ],
)
def test_a_fault_in_a_host_config_hides_no_warning_about_the_rest(check, old, new, faults):
    code, _, lines = check(WARNED.replace(old, new, 1))
    assert code is (ExitCode.ERRORS if faults else ExitCode.OK)
    found = [re.sub(r".*?: WasmCloudHostConfig( \w+)?: ", "", line) for line in lines]
    assert len(found) == len([*faults, *WARNINGS]), lines
    for start in (*faults, *WARNINGS):
        assert any(line.startswith(start) for line in found), (start, lines)


def test_of_a_host_config_with_a_fault_only_sure_faults_are_found(check):
    text = f"{HOSTS}  natsAddress: x://y\n"
    _, _, lines = check(text)
    assert len(lines) == 1
    assert "spec.natsAddress" in lines[0]
    _, _, lines = check(f"{text}  hostReplicas: -1\n")
    assert len(lines) == 1
    assert "spec.hostReplicas" in lines[0]
    _, _, lines = check(HOSTS.partition("spec:")[0] + "spec: text\n")
    assert len(lines) == 1
    assert "spec: must be an object" in lines[0]


HEAD = "apiVersion: k8s.wasmcloud.dev/v1alpha1\nkind: WasmCloudHostConfig\n"
REST = "spec:\n  lattice: default\n  version: 1.9.0\n"


@pytest.mark.parametrize("key", ["x]", 'x"]', "[", "a.b", '["', "", "spec[0]", '"].a["b'])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEAD + "metadata: {name: edge, KEY: 1}\n" + REST, 3),
        (HEAD + "metadata: {name: edge}\n" + REST + "  KEY: 1\n", 7),
        (HEAD + "metadata: {name: edge}\n" + REST + "  hostLabels: {KEY: 5}\n", 7),
    ],
    ids=["metadata", "spec", "labels"],
)
def test_a_key_of_any_letters_is_found_once_and_in_its_line(check, key, text, line):
    _, _, lines = check(text.replace("KEY", json.dumps(key)))
    assert [found.startswith(f":{line}:") for found in lines] == [True], lines


def test_a_field_around_an_unknown_one_is_not_taken_for_the_one_that_is_meant(check):
    text = f"{HOSTS}  schedulingOptions: {{podTemplateAdditions: {{spec: {{nodeSelector: {{a: b}}}}}}}}\n"
    _, _, lines = check(text)
    expected = "spec: is no field: `kubectl apply` refuses it: write what is in it one level up"
    assert [line.partition("Additions.")[2] for line in lines] == [expected]
    _, _, lines = check(f"{HOSTS}  schedulingOptions: {{podTemplateAdditions: {{spec: {{x: y}}}}}}\n")
    assert [line.endswith("refuses it") for line in lines] == [True]


VELA = """\
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {name: first-vela-app}
spec:
  components:
    - name: express-server
      type: webservice
      properties: {image: x, ports: [{port: 8000}]}
      traits: [{type: scaler, properties: {replicas: 1}}]
    - {name: chart, type: helm, dependsOn: [express-server], properties: {chart: x}}
  policies: [{name: t, type: topology, properties: {clusters: [local]}}]
  workflow: {steps: [{name: d, type: deploy}]}
"""


def test_of_an_application_of_kubevelas_its_first_type_is_all_that_is_found(check):
    code, _, [line] = check(VELA)
    assert (code, line.startswith(":7:7: error: Application first-vela-app: spec.components[0].type: ")) == (1, True)
    assert "'webservice' is not a type of component: use component or capability" in line


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("webservice", "componnent"),
        ("webservice", "actor"),
        ("type: scaler", "type: spreadscaler"),
        ("webservice", "[]"),
    ],
)
def test_a_slip_in_a_type_does_not_make_an_application_kubevelas(check, old, new):
    _, _, lines = check(VELA.replace(old, new))
    assert any("spec.workflow: is ignored by wadm" in line for line in lines)
