"""Users' additions: their values win, lists merge by their keys as in a strategic merge patch."""

from __future__ import annotations

import pytest

from wasmcloud_operator.hostpool.merge import POD_SPEC, merged, normal, repeated


@pytest.mark.parametrize(
    ("base", "additions", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 3}, {"a": 1, "b": 3}),
        ({"m": {"a": 1, "b": 2}}, {"m": {"b": 3}}, {"m": {"a": 1, "b": 3}}),
        ({"args": ["a"]}, {"args": ["b"]}, {"args": ["b"]}),
        ({"name": "c", "tty": True}, {"name": None, "tty": None, "stdin": None}, {"name": "c"}),
        ({"livenessProbe": {"httpGet": {"port": 1}}}, {"livenessProbe": {"periodSeconds": 5, "exec": None}},
         {"livenessProbe": {"httpGet": {"port": 1}, "periodSeconds": 5}}),
        ({"resources": {"claims": [{"name": "a"}]}}, {"resources": {"claims": [{"name": "b"}]}},
         {"resources": {"claims": [{"name": "a"}, {"name": "b"}]}}),
        ({"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}]}]},
         {"containers": [{"name": "c", "env": [{"name": "B", "value": "2"}]}]},
         {"containers": [{"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, {"tolerations": [{"key": "b"}]}),
        ({"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]},
         {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "p"}}}, {"name": "C", "value": "3"}]},
         {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "p"}}}, {"name": "B", "value": "1"},
                  {"name": "C", "value": "3"}]}),
        ({"volumes": [{"name": "d", "emptyDir": {}}]},
         {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]},
         {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]}),
        ({"volumeMounts": [{"mountPath": "/a", "name": "x", "readOnly": True}]},
         {"volumeMounts": [{"mountPath": "/a", "name": "y"}, {"mountPath": "/b", "name": "x"}]},
         {"volumeMounts": [{"mountPath": "/a", "name": "y", "readOnly": True}, {"mountPath": "/b", "name": "x"}]}),
        ({"ports": [{"containerPort": 1, "protocol": "TCP", "name": "a"}]},
         {"ports": [{"containerPort": 1, "hostPort": 1}, {"containerPort": 1, "protocol": "UDP"}]},
         {"ports": [{"containerPort": 1, "protocol": "TCP", "name": "a", "hostPort": 1},
                    {"containerPort": 1, "protocol": "UDP"}]}),
        ({"topologySpreadConstraints": [{"topologyKey": "host", "whenUnsatisfiable": "ScheduleAnyway"}]},
         {"topologySpreadConstraints": [{"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]},
         {"topologySpreadConstraints": [{"topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]}),
        ({"topologySpreadConstraints": [{"topologyKey": "host"}], "containers": [{"name": "a"}]},
         {"topologySpreadConstraints": None, "containers": None}, {"containers": [{"name": "a"}]}),
        ({"initContainers": [{"name": "leaf"}]}, {"initContainers": [{"name": "mine"}]},
         {"initContainers": [{"name": "leaf"}, {"name": "mine"}]}),
        ({"livenessProbe": {"httpGet": {"port": 1}, "periodSeconds": 5}},
         {"livenessProbe": {"exec": {"command": ["x"]}}},
         {"livenessProbe": {"periodSeconds": 5, "exec": {"command": ["x"]}}}),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}},
         {"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}},
         {"lifecycle": {"preStop": {"exec": {"command": ["x"]}}}}),
        ({"securityContext": {"runAsUser": 1, "sysctls": [{"name": "a", "value": "0"}]}},
         {"securityContext": {"runAsUser": 0, "sysctls": []}},
         {"securityContext": {"runAsUser": 0, "sysctls": []}}),
    ],
)  # fmt: skip
def test_merged(base, additions, expected):
    assert merged(base, additions) == expected


def test_the_base_is_left_as_it_is():
    base = {"env": [{"name": "A", "value": "1"}], "m": {"a": 1}}
    merged(base, {"env": [{"name": "A", "value": "2"}], "m": {"a": 2}})
    assert base == {"env": [{"name": "A", "value": "1"}], "m": {"a": 1}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"hostNetwork": False, "automountServiceAccountToken": False}, {"automountServiceAccountToken": False}),
        ({"env": [{"name": "A", "value": ""}]}, {"env": [{"name": "A"}]}),
        ({"tolerations": [], "nodeSelector": {}}, {}),
        ({"nodeSelector": {"disk": "", "value": ""}}, {"nodeSelector": {"disk": "", "value": ""}}),
        ({"volumes": [{"name": "a", "emptyDir": {}}]}, {"volumes": [{"name": "a", "emptyDir": {}}]}),
        ({"readinessProbe": {"initialDelaySeconds": 0, "periodSeconds": 1}}, {"readinessProbe": {"periodSeconds": 1}}),
        ({"terminationGracePeriodSeconds": 0}, {"terminationGracePeriodSeconds": 0}),
        ({"unknown": [{"hostNetwork": False}]}, {"unknown": [{"hostNetwork": False}]}),
    ],
)
def test_values_that_the_api_server_leaves_out_are_not_sent(value, expected):
    assert normal(value) == expected


def test_of_a_list_as_long_as_an_object_may_be_the_repeated_entry_is_found():
    aliases = [{"ip": str(number)} for number in range(100_000)]  # minutes, if each were compared with all before it
    found = list(repeated({"hostAliases": [*aliases, {"ip": "7"}]}, POD_SPEC))
    assert found == [(".hostAliases[100000]", "ip")]
