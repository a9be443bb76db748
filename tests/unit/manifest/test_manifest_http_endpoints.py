"""Which ports a manifest opens: every form that wadm and the provider take, and every mistake by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from copy import copy
from typing import Any

import pytest

from support.objects.http_manifest import BUILTIN, IMAGE, defined, link, manifest
from wasmcloud_operator.application.manifest import without_nulls
from wasmcloud_operator.manifest.http_endpoints import (
    Endpoint,
    Exposure,
    Externals,
    Route,
    exposure,
    external_configs,
    http_servers,
    shared_applications,
)
from wasmcloud_operator.manifest.walking import component_id
from wasmcloud_operator_types import LinkProperties


def endpoints(found: Exposure) -> list[tuple[int, str, str, str]]:
    return [(one.port, one.scheme, one.family, one.mode) for provider in found.providers for one in provider.endpoints]


def reasons(found: Exposure) -> list[str]:
    return [problem.reason for problem in found.problems]


@pytest.mark.parametrize(
    "image",
    [
        IMAGE,
        "ghcr.io/wasmcloud/http-server",
        "registry.example:5000/mirror/wasmcloud/http-server:canary",
        "http-server:1",
        "ghcr.io/wasmcloud/http-server@sha256:" + "0" * 64,
        "ghcr.io/wasmcloud/http-server:0.27.0@sha256:" + "0" * 64,
        BUILTIN,
    ],
)
def test_any_registrys_http_server_counts(image: str) -> None:
    assert endpoints(exposure(manifest(link(defined(address="0.0.0.0:8080")), image=image))) == [
        (8080, "http", "IPv4", "address")
    ]


@pytest.mark.parametrize(
    "image", ["ghcr.io/acme/wasmcloud-http-server:1.0", "x/my-http-server:1", "x/http-server/other:1", "x/y"]
)
def test_a_provider_linked_to_take_requests_serves_http_whatever_its_name(image: str) -> None:
    assert endpoints(exposure(manifest(link(defined(address="0.0.0.0:8080")), image=image))) == [
        (8080, "http", "IPv4", "address")
    ]
    by_default = [defined(default_address="0.0.0.0:8081")]
    assert endpoints(exposure(manifest(link(), image=image, config=by_default))) == [(8081, "http", "IPv4", "address")]
    assert exposure(manifest(image=image, config=by_default)) == Exposure(), "it may be anything"


def test_an_unknown_server_that_names_no_address_is_reported() -> None:
    found = exposure(manifest(link(defined(bind="0.0.0.0:8080")), image="ghcr.io/acme/gateway:1"))
    assert [provider.endpoints for provider in found.providers] == [()]
    [problem] = found.problems
    assert (problem.reason, problem.path) == ("PortUnknown", "spec.components[1]")
    assert "k8s.wasmcloud.dev/http-port" in problem.message


def test_a_source_that_is_null_is_as_good_as_left_out() -> None:
    trait = link(source=None, source_config=[defined(address="0.0.0.0:8080")])
    assert endpoints(exposure(manifest(trait))) == [(8080, "http", "IPv4", "address")]
    read = LinkProperties.model_validate(trait["properties"])
    assert [config.properties for config in read.effective_source_config] == [{"address": "0.0.0.0:8080"}]


def null_at_each_place(value: Any) -> Iterator[Any]:
    """The value with null in place of each part of it, one at a time."""
    places = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, part in list(places):
        for other in (None, *null_at_each_place(part)):
            changed = copy(value)
            changed[key] = other
            yield changed


def test_null_is_as_good_as_left_out_wherever_it_stands() -> None:
    trait = link(defined("listen", address="0.0.0.0:8080"), name="n")
    settings = [defined("settings", default_address="0.0.0.0:9000", routing_mode="address")]
    for one in null_at_each_place(manifest(trait, config=settings)):
        assert exposure(one) == exposure(without_nulls(one)), one
        assert http_servers(one) == http_servers(without_nulls(one)), one


@pytest.mark.parametrize("key", ["Default_Address", "ROUTING_MODE"])
def test_only_the_keys_of_a_listener_may_be_in_any_case(key: str) -> None:
    config = [defined(**{key: "0.0.0.0:9999" if key.startswith("D") else "path"})]
    assert endpoints(exposure(manifest(link(), config=config))) == [(8000, "http", "IPv4", "address")]


def test_the_servers_of_a_manifest_are_known_whatever_their_settings() -> None:
    assert http_servers(manifest(link(defined(address="nonsense")), image="x/y:1")) == {"httpserver"}
    assert http_servers(manifest()) == http_servers({}) == frozenset()


@pytest.mark.parametrize(
    ("trait", "config", "expected"),
    [
        pytest.param(link(defined(address="0.0.0.0:8080")), None, (8080, "http", "IPv4", "address"), id="plain"),
        pytest.param(link(defined(ADDRESS="0.0.0.0:81")), None, (81, "http", "IPv4", "address"), id="key in capitals"),
        pytest.param(link(defined(address="[::]:8080")), None, (8080, "http", "Dual", "address"), id="IPv6 any"),
        pytest.param(link(defined(address="[fd00::1]:80")), None, (80, "http", "IPv6", "address"), id="one IPv6"),
        pytest.param(link(), None, (8000, "http", "IPv4", "address"), id="nothing said"),
        pytest.param(
            link(), [defined(default_address="0.0.0.0:9000")], (9000, "http", "IPv4", "address"), id="default_address"
        ),
        pytest.param(
            link(defined(address="0.0.0.0:1")),
            [defined(default_address="0.0.0.0:9000")],
            (1, "http", "IPv4", "address"),
            id="the link before default_address",
        ),
        pytest.param(
            link(defined("a", address="0.0.0.0:1"), defined("b", address="0.0.0.0:2")),
            None,
            (2, "http", "IPv4", "address"),
            id="the later configuration wins",
        ),
        pytest.param(
            link(defined(address="0.0.0.0:443", tls_cert_file="/c", tls_priv_key_file="/k")),
            None,
            (443, "https", "IPv4", "address"),
            id="TLS",
        ),
        pytest.param(
            link(defined(config_json=json.dumps({"address": "0.0.0.0:8081"}))),
            None,
            (8081, "http", "IPv4", "address"),
            id="config_json",
        ),
        pytest.param(
            link(defined(config_json=json.dumps({"tls": {"cert_file": "/c", "priv_key_file": "/k"}}))),
            [defined(default_address="0.0.0.0:9000")],
            (8000, "https", "IPv4", "address"),
            id="config_json knows no default_address",
        ),
        pytest.param(
            link(defined(config_b64=base64.b64encode(b'{"address": "[::]:82"}').decode().rstrip("="))),
            None,
            (82, "http", "Dual", "address"),
            id="config_b64",
        ),
        pytest.param(link(defined(port="9999")), None, (8000, "http", "IPv4", "address"), id="port alone is overruled"),
        pytest.param(
            {
                "type": "link",
                "properties": {
                    "namespace": "wasi",
                    "package": "http",
                    "interfaces": ["incoming-handler"],
                    "target": "web",
                    "source_config": [defined(address="0.0.0.0:8085")],
                },
            },
            None,
            (8085, "http", "IPv4", "address"),
            id="deprecated source_config",
        ),
        pytest.param(
            link(defined(address="0.0.0.0:1"), source_config=[defined(address="0.0.0.0:2")]),
            None,
            (1, "http", "IPv4", "address"),
            id="source before source_config",
        ),
    ],
)
def test_where_a_link_opens_its_port(
    trait: dict[str, Any], config: list[dict[str, Any]] | None, expected: tuple[int, str, str, str]
) -> None:
    found = exposure(manifest(trait, config=config))
    assert endpoints(found) == [expected]
    assert found.problems == ()


def test_several_links_open_several_ports_and_may_share_one() -> None:
    found = exposure(
        manifest(
            link(defined("a", address="0.0.0.0:1"), name="one"),
            link(defined("b", address="0.0.0.0:2"), name="two"),
            link(defined("c", address="[::]:1"), name="three"),
        )
    )
    [provider] = found.providers
    assert provider.endpoints == (
        Endpoint(port=1, scheme="http", family="Dual", mode="address", links=("one", "three")),
        Endpoint(port=2, scheme="http", family="IPv4", mode="address", links=("two",)),
    )


@pytest.mark.parametrize(
    ("mode", "value", "route"),
    [("path", "/api", Route(path="/api")), ("host", "a.example.com", Route(host="a.example.com"))],
)
def test_routing_modes_have_one_listener(mode: str, value: str, route: Route) -> None:
    config = [defined(routing_mode=mode, address="0.0.0.0:8000", default_address="0.0.0.0:1")]
    found = exposure(manifest(link(defined("r", **{mode: value}), name="x"), config=config))
    assert found.providers[0].endpoints == (
        Endpoint(port=8000, scheme="http", family="IPv4", mode=mode, links=("x",), routes=(route,)),
    )


@pytest.mark.parametrize(
    ("config", "port"),
    [
        ({"address": "0.0.0.0:8080", "default_address": "0.0.0.0:9000"}, 9000),
        ({"address": "0.0.0.0:8080"}, 8000),
        ({"config_json": '{"address": "0.0.0.0:8080"}'}, 8000),
    ],
)
def test_the_builtin_one_knows_default_address_alone_for_its_one_listener(config: dict[str, str], port: int) -> None:
    made = manifest(link(defined("r", path="/")), config=[defined(routing_mode="path", **config)], image=BUILTIN)
    assert endpoints(exposure(made)) == [(port, "http", "IPv4", "path")]


def test_the_builtin_one_speaks_plain_http() -> None:
    tls = defined(address="0.0.0.0:8443", tls_cert_file="/c", tls_priv_key_file="/k")
    assert endpoints(exposure(manifest(link(tls), image=BUILTIN))) == [(8443, "http", "IPv4", "address")]


def test_hosts_distinguished_by_another_header_are_no_host_names() -> None:
    config = [defined(routing_mode="host", header="X-Tenant")]
    [provider] = exposure(manifest(link(defined("r", host="blue")), config=config)).providers
    assert provider.endpoints[0].routes == (Route(),)


def test_a_routing_mode_without_a_route_is_a_problem_but_the_port_is_open() -> None:
    found = exposure(manifest(link(defined("r", host="a")), config=[defined(routing_mode="path")]))
    assert reasons(found) == ["InvalidSettings"]
    assert endpoints(found) == [(8000, "http", "IPv4", "path")]


@pytest.mark.parametrize(
    ("address", "reason", "word"),
    [
        ("0.0.0.0", "InvalidSettings", "no port"),
        ("0.0.0.0:0", "InvalidSettings", "from 1 to 65535"),
        ("0.0.0.0:70000", "InvalidSettings", "from 1 to 65535"),
        ("0.0.0.0:x", "InvalidSettings", "no port"),
        ("localhost:8080", "InvalidSettings", "IP address"),
        (":8080", "InvalidSettings", "IP address"),
        ("::1:8080", "InvalidSettings", "brackets"),
        ("[0.0.0.0]:80", "InvalidSettings", "brackets"),
        ("127.0.0.1:8080", "Loopback", "inside the pod"),
        ("127.9.9.9:8080", "Loopback", "inside the pod"),
        ("[::1]:8080", "Loopback", "inside the pod"),
        ("[::ffff:127.0.0.1]:8080", "Loopback", "inside the pod"),
        ("0.0.0.0:" + "9" * 5000, "InvalidSettings", "from 1 to 65535"),
    ],
)
def test_addresses_that_lead_nowhere(address: str, reason: str, word: str) -> None:
    found = exposure(manifest(link(defined(address=address))))
    assert [provider.endpoints for provider in found.providers] == [()], "it serves HTTP, nobody knows where"
    assert reasons(found) == [reason]
    assert word in str(found.problems[0])
    assert found.problems[0].path == "spec.components[1].traits[0].properties.source.config"
    assert len(str(found.problems[0])) < 400


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"config_file": "/etc/x.json"}, "config_file"),
        ({"config_json": "{"}, "not JSON"),
        ({"config_json": "[]"}, "not a JSON object"),
        ({"config_json": '{"address": 8080}'}, "not a string"),
        ({"config_b64": "!!!"}, "not base64"),
        ({"address": "0.0.0.0:1", "tls_cert_file": "/c"}, "both"),
    ],
)
def test_settings_that_the_provider_would_not_take(settings: dict[str, str], word: str) -> None:
    found = exposure(manifest(link(defined(**settings))))
    assert [provider.endpoints for provider in found.providers] == [()], "it serves HTTP, nobody knows where"
    assert word in found.problems[0].message


def test_a_bad_link_does_not_close_the_others() -> None:
    found = exposure(
        manifest(link(defined("a", address="nonsense")), link(defined("b", address="0.0.0.0:2"), name="b"))
    )
    assert endpoints(found) == [(2, "http", "IPv4", "address")]
    assert reasons(found) == ["InvalidSettings"]


def test_external_configurations_are_looked_up_and_missing_ones_named() -> None:
    made = manifest(link({"name": "shared-http"}), config=[{"name": "defaults"}])
    assert external_configs(made) == {"shared-http", "defaults"}
    known = {"shared-http": {"address": "0.0.0.0:8089"}, "defaults": {}}
    assert endpoints(exposure(made, Externals(known))) == [(8089, "http", "IPv4", "address")]
    assert reasons(exposure(made, Externals({"defaults": {}, "shared-http": None}))) == ["ConfigMissing"]
    assert reasons(exposure(made)) == ["ConfigUnknown"]


def test_configurations_of_other_components_do_not_matter() -> None:
    made = manifest(link(defined(address="0.0.0.0:1")))
    made["spec"]["components"][0]["properties"]["config"] = [{"name": "somebody-elses"}]
    assert external_configs(made) == frozenset()


def test_a_shared_provider_is_known_by_the_application_that_runs_it() -> None:
    shared = manifest(name="gateway")
    shared["spec"]["components"][1]["properties"]["config"] = [defined(default_address="0.0.0.0:9001")]
    made = manifest(link())
    made["spec"]["components"][1]["properties"] = {"application": {"name": "gateway", "component": "httpserver"}}
    assert shared_applications(made) == {"gateway"}
    [provider] = exposure(made, Externals(manifests={"gateway": shared})).providers
    assert (provider.application, provider.id) == ("gateway", "gateway-httpserver")
    assert [one.port for one in provider.endpoints] == [9001]
    assert reasons(exposure(made, Externals(manifests={"gateway": None}))) == ["SharedApplicationMissing"]


def test_the_id_is_the_declared_one_or_wadms() -> None:
    made = manifest(link(defined(address="0.0.0.0:1")), name="My_App")
    assert exposure(made).providers[0].id == component_id("My_App", "httpserver") == "my_app-httpserver"
    made["spec"]["components"][1]["properties"]["id"] = "declared"
    assert exposure(made).providers[0].id == "declared"


@pytest.mark.parametrize(
    "garbage", [{}, {"spec": None}, {"spec": {"components": [None, 7, {"name": 3}, {"name": "x"}]}}]
)
def test_anything_but_a_manifest_offers_nothing(garbage: dict[str, Any]) -> None:
    assert exposure(garbage) == Exposure()
