from __future__ import annotations

from decimal import Decimal

import pytest

from wasmcloud_operator.kube.difference import difference, fingerprint, first_difference, quantity

CONTAINER = {"name": "a", "image": "i:1", "resources": {"requests": {"cpu": "0.5", "memory": "1Gi"}}}


@pytest.mark.parametrize(
    ("desired", "live", "where"),
    [
        pytest.param({"a": 1}, {"a": 1, "b": 2}, None, id="defaults of the server"),
        pytest.param({"a": 1}, {}, ".a", id="missing"),
        pytest.param({"a": 1}, {"a": 2}, ".a", id="changed"),
        pytest.param({"a": True}, {"a": 1}, ".a", id="true is not 1"),
        pytest.param({"a": {"b": [True]}}, {"a": {"b": [1]}}, ".a.b[0]", id="true is not 1 further in"),
        pytest.param({"a": {"b": 1}}, {"a": None}, ".a", id="an object became null"),
        pytest.param({"a": {"b": [1]}}, {"a": {"b": "1"}}, ".a.b", id="a list became a string"),
        pytest.param({"a": [1, 2]}, {"a": [2, 1]}, ".a[0]", id="order of a plain list"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, ".a", id="length of a plain list"),
        pytest.param({"a": (1, 2)}, {"a": [1, 2]}, None, id="a tuple is a list"),
        pytest.param(
            {"containers": [CONTAINER]},
            {
                "containers": [
                    {"name": "injected"},
                    {**CONTAINER, "resources": {"requests": {"cpu": "500m", "memory": "1073741824"}}},
                ]
            },
            None,
            id="canonical quantities, injected containers",
        ),
        pytest.param(
            {"containers": [CONTAINER]},
            {"containers": [{**CONTAINER, "image": "i:2"}]},
            ".containers[a].image",
            id="drift in a list of objects",
        ),
        pytest.param({"containers": [CONTAINER]}, {"containers": []}, ".containers[a]", id="container gone"),
        pytest.param({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1001m"}}, ".limits.cpu", id="another quantity"),
        pytest.param({"sizeLimit": "1024Mi"}, {"sizeLimit": "1Gi"}, None, id="a quantity by itself"),
        pytest.param(
            {"ports": [{"containerPort": 80}]},
            {"ports": [{"containerPort": 80, "protocol": "TCP"}]},
            None,
            id="the default protocol is part of the key",
        ),
        pytest.param(
            {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53}]},
            {"ports": [{"port": 53, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
            None,
            id="same port, two protocols",
        ),
        pytest.param(
            {"subjects": [{"kind": "User", "name": "a"}]},
            {"subjects": [{"kind": "User", "name": "a"}, {"kind": "User", "name": "intruder"}]},
            ".subjects",
            id="an atomic list is ours as a whole",
        ),
        pytest.param(
            {"metadata": {"annotations": {"a/b.c": "1"}}},
            {"metadata": {"annotations": {"a/b.c": "2"}}},
            ".metadata.annotations.a/b.c",
            id="path of an annotation",
        ),
        pytest.param({"labels": {}, "command": [], "x": None}, {}, None, id="empty things the server drops"),
        pytest.param({"emptyDir": {}}, {}, ".emptyDir", id="empty things that mean something"),
        pytest.param(
            {"tolerations": [{"operator": "Exists"}]},
            {"tolerations": [{"operator": "Exists"}]},
            None,
            id="objects without a merge key",
        ),
    ],
)
def test_difference(desired, live, where):
    assert difference(desired, live) == where


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500m", Decimal("0.5")),
        ("0.5", Decimal("0.5")),
        (0.5, Decimal("0.5")),
        (2, Decimal(2)),
        ("1Gi", Decimal(2**30)),
        ("1G", Decimal(10**9)),
        ("1e3", Decimal(1000)),
        ("1E3", Decimal(1000)),
        ("1E", Decimal(10**18)),
        ("100n", Decimal("1e-7")),
        ("-1k", Decimal(-1000)),
        ("", None),
        ("Gi", None),
        ("lots", None),
        ("1Qi", None),
        (True, None),
        (None, None),
    ],
)
def test_quantity(text, value):
    assert quantity(text) == value


def test_a_fingerprint_changes_with_a_field_we_stopped_sending_and_not_with_order():
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
    assert fingerprint({"a": 1, "b": 2}) != fingerprint({"a": 1})


def test_a_fingerprint_is_the_same_in_each_release():
    """With another one, an upgrade would write every object anew."""
    assert fingerprint({"a": 1, "b": {"c": "é"}}) == "382c35e65b418e88"


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}),
        ({"hostNetwork": False}, {}),
        ({"volumeMounts": [{"mountPath": "/x", "readOnly": False}]}, {"volumeMounts": [{"mountPath": "/x"}]}),
        ({"emptyDir": {"medium": ""}}, {"emptyDir": {}}),
        ({"overhead": {"cpu": "0.25"}}, {"overhead": {"cpu": "250m"}}),
        ({"minReadySeconds": 0}, {}),
        ({"nodeName": ""}, {}),
        ({"tty": False, "stdin": False}, {}),
        ({"overhead": {}}, {}),
    ],
)
def test_a_zero_value_that_the_api_server_leaves_out_is_no_difference(desired, live):
    assert difference(desired, live) is None


def test_a_zero_value_that_counts_is_a_difference():
    assert difference({"automountServiceAccountToken": False}, {}) == ".automountServiceAccountToken"
    assert difference({"replicas": 0}, {}) == ".replicas"


@pytest.mark.parametrize("name", ["selector", "nodeSelector"])
def test_a_foreign_key_in_an_atomic_map_is_a_difference(name: str):
    """A Service with one more key in its selector selects no pod."""
    assert difference({"spec": {name: {"a": "1"}}}, {"spec": {name: {"a": "1", "foreign": "x"}}}) == (
        f".spec.{name}.foreign"
    )


def test_a_foreign_toleration_is_a_difference():
    ours, theirs = {"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}
    assert difference({"tolerations": [ours]}, {"tolerations": [ours, theirs]}) == ".tolerations"


def deployment(**pod) -> dict:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": pod}}}


POD = ".spec.template.spec"


@pytest.mark.parametrize(
    ("desired", "live", "where"),
    [
        pytest.param({"hostNetwork": False, "hostPID": False, "hostname": ""}, {}, None, id="omitted"),
        pytest.param({"shareProcessNamespace": False}, {}, f"{POD}.shareProcessNamespace", id="a pointer is kept"),
        pytest.param({"nodeSelector": {"a": "1"}}, {"nodeSelector": {"a": "1", "b": "2"}}, f"{POD}.nodeSelector.b"),
        pytest.param({"overhead": {"cpu": "0.25"}}, {"overhead": {"cpu": "250m", "memory": "1Ki"}}, None),
        pytest.param(
            {"readinessGates": [{"conditionType": "a"}]},
            {"readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]},
            f"{POD}.readinessGates",
            id="a list without keys is ours as a whole",
        ),
        pytest.param(
            {"imagePullSecrets": [{"name": "a"}]},
            {"imagePullSecrets": [{"name": "b"}, {"name": "a"}]},
            None,
            id="a list with keys is not",
        ),
        pytest.param(
            {"topologySpreadConstraints": [{"topologyKey": "z", "whenUnsatisfiable": "A", "labelSelector": {}}]},
            {
                "topologySpreadConstraints": [
                    {
                        "topologyKey": "z",
                        "whenUnsatisfiable": "A",
                        "maxSkew": 1,
                        "labelSelector": {"matchLabels": {"x": "y"}},
                    }
                ]
            },
            f"{POD}.topologySpreadConstraints[z,A].labelSelector.matchLabels",
            id="a foreign label in a selector selects other pods",
        ),
        pytest.param(
            {"containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "p"}}}]}]},
            {
                "containers": [
                    {
                        "name": "c",
                        "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "p", "apiVersion": "v1"}}}],
                    }
                ]
            },
            None,
            id="what the API server fills into an atomic object is no difference",
        ),
    ],
)
def test_fields_are_compared_by_the_type_they_have_there(desired, live, where):
    assert difference(deployment(**desired), deployment(**live)) == where


def test_a_field_name_is_merged_differently_in_different_types():
    """The imagePullSecrets of a ServiceAccount are atomic, a pod's are merged by name."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    ours, both = [{"name": "a"}], [{"name": "b"}, {"name": "a"}]
    assert difference(account | {"imagePullSecrets": ours}, account | {"imagePullSecrets": both}) == ".imagePullSecrets"


@pytest.mark.parametrize(
    ("spec", "live", "shown", "owned"),
    [
        pytest.param(
            {"clusterIP": "a"}, {"clusterIP": "b"}, [".spec", ".clusterIP"], ["f:spec", "f:clusterIP"], id="field"
        ),
        pytest.param(
            {"ports": [{"port": 80, "name": "a"}]},
            {"ports": [{"port": 80, "protocol": "TCP", "name": "b"}]},
            [".spec", ".ports", "[80,TCP]", ".name"],
            ["f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}', "f:name"],
            id="item that is merged by its keys",
        ),
        pytest.param(
            {"ports": [{"port": 80}]},
            {"ports": []},
            [".spec", ".ports", "[80,TCP]"],
            ["f:spec", "f:ports", 'k:{"port":80,"protocol":"TCP"}'],
            id="item that is missing",
        ),
        pytest.param(
            {"clusterIPs": ["a", "b"]},
            {"clusterIPs": ["a", "c"]},
            [".spec", ".clusterIPs", "[1]"],
            ["f:spec", "f:clusterIPs", "i:1"],
            id="item by its place",
        ),
    ],
)
def test_a_difference_has_its_place_as_a_path_and_as_managed_fields_have_it(
    spec: dict, live: dict, shown: list[str], owned: list[str]
):
    service = {"apiVersion": "v1", "kind": "Service"}
    found = first_difference(service | {"spec": spec}, service | {"spec": live})
    assert [step.shown for step in found.steps] == shown
    assert [step.owned for step in found.steps] == owned
    assert str(found) == "".join(shown)


def test_a_missing_item_of_a_set_is_named_whatever_its_letters():
    found = first_difference({"metadata": {"finalizers": ["a", "é"]}}, {"metadata": {"finalizers": ["b", "a"]}})
    assert [(step.shown, step.owned) for step in found.steps][-1] == ("[é]", 'v:"é"')


def test_a_whole_object_that_is_something_else_differs_as_a_whole():
    assert difference({"a": 1}, None) == "."


def test_a_zero_value_that_is_left_out_hides_no_difference_after_it():
    assert difference({"hostNetwork": False, "nodeName": "a"}, {"nodeName": "b"}) == ".nodeName"


def test_items_of_a_list_that_nobody_knows_are_compared_by_the_names_of_their_fields():
    assert difference({"unknown": [{"limits": {"cpu": "1"}}]}, {"unknown": [{"limits": {"cpu": "1000m"}}]}) is None


def test_of_a_kind_that_is_not_in_the_table_nothing_is_guessed():
    route = {"apiVersion": "example.com/v1", "kind": "Route", "metadata": {"finalizers": ["a"]}}
    spec = {"hostNetwork": False, "ports": [{"port": 1}]}
    assert difference(route | {"spec": spec}, route | {"spec": {"ports": [{"port": 1}]}}) == ".spec.hostNetwork"
    more = {"finalizers": ["b", "a"]}
    assert difference(route, route | {"metadata": more}) is None, "finalizers of others are theirs"
