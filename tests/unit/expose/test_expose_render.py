"""Names, options and bodies of Services and routes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from wasmcloud_operator.expose import naming, render
from wasmcloud_operator.expose.annotations import Gateway, read_options, read_reach
from wasmcloud_operator.expose.plan import Plan, PlannedService, Record, plan
from wasmcloud_operator.lattice.identity import LatticeRoute
from wasmcloud_operator.lattice.spec import ConnectionSpec
from wasmcloud_operator.manifest.http_endpoints import POD_PORTS, Endpoint, Exposure, HttpProvider, Route, exposure
from wasmcloud_operator.reasons import Reason
from wasmcloud_operator.shared.problem import Problem

LATTICE = LatticeRoute(ConnectionSpec(("nats://127.0.0.1:4222",)), "default").identity
ONE = Endpoint(port=8080, scheme="http", family="IPv4", mode="address", links=("default",))


def record(*providers: HttpProvider, application: str = "hello", annotations: dict[str, str] | None = None) -> Record:
    return Record(application=application, version="v1", exposure=Exposure(providers), annotations=annotations or {})


def provider(*endpoints: Endpoint, component: str = "httpserver") -> HttpProvider:
    return HttpProvider(
        component=component, application="hello", id=f"hello-{component}", endpoints=endpoints or (ONE,)
    )


def planned(*endpoints: Endpoint, annotations: dict[str, str] | None = None) -> PlannedService:
    return plan(record(provider(*endpoints)), read_options(annotations or {})).services[0]


def test_the_service_selects_by_its_own_label() -> None:
    body = render.service(planned(), "team", LATTICE, [])
    assert body["spec"] == {
        "type": "ClusterIP",
        "selector": {"serves.k8s.wasmcloud.dev/hello": "true"},
        "ports": [{"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP", "appProtocol": "http"}],
        "ipFamilyPolicy": "SingleStack",
        "ipFamilies": ["IPv4"],
    }
    assert body["metadata"]["labels"]["app.kubernetes.io/component"] == "http"
    assert body["metadata"]["annotations"]["k8s.wasmcloud.dev/lattice-id"] == LATTICE.id


@pytest.mark.parametrize(
    ("families", "expected"),
    [
        (("Dual",), {"ipFamilyPolicy": "PreferDualStack"}),
        (("Dual", "Dual"), {"ipFamilyPolicy": "PreferDualStack"}),
        (("Dual", "IPv4"), {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}),
        (("IPv6",), {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}),
    ],
)
def test_families_are_those_that_every_port_takes(families: tuple[Any, ...], expected: dict[str, Any]) -> None:
    ports = [
        Endpoint(port=8080 + at, scheme="http", family=family, mode="address", links=())
        for at, family in enumerate(families)
    ]
    spec = render.service(planned(*ports), "team", LATTICE, [])["spec"]
    assert {key: spec[key] for key in spec if key.startswith("ipFamil")} == expected


@pytest.mark.parametrize(
    ("families", "reasons"),
    [
        (("IPv4", "IPv6"), ["MixedFamilies"]),
        (("IPv4", "IPv6", "Dual"), ["MixedFamilies"]),
        (("IPv4", "Dual"), []),
        (("IPv6", "Dual"), []),
        (("IPv6", "IPv6"), []),
    ],
)
def test_ports_that_no_one_service_reaches_are_said(families: tuple[Any, ...], reasons: list[str]) -> None:
    ports = [
        Endpoint(port=8080 + at, scheme="http", family=family, mode="address", links=())
        for at, family in enumerate(families)
    ]
    made = plan(record(provider(*ports)), read_options({}))
    assert [problem.reason for problem in made.problems] == reasons
    assert all("8081" in str(problem) for problem in made.problems)


def test_ports_have_names_of_their_own_and_the_first_is_plain() -> None:
    ports = (
        ONE,
        Endpoint(port=8443, scheme="https", family="IPv4", mode="address", links=()),
        Endpoint(port=65535, scheme="https", family="IPv4", mode="address", links=()),
    )
    made = render.service(planned(*ports), "team", LATTICE, [])["spec"]["ports"]
    assert [port["name"] for port in made] == ["http", "https-8443", "https-65535"]
    assert all(len(port["name"]) <= 15 for port in made)


def test_each_provider_has_a_service_of_its_own() -> None:
    made = plan(record(provider(), provider(component="admin")), read_options({})).services
    assert [(one.name, one.provider.component) for one in made] == [("hello", "httpserver"), ("hello-admin", "admin")]


@pytest.mark.parametrize(
    ("held", "reserved", "expected"),
    [
        ({}, (), ["hello", "hello-public"]),
        ({"public": "hello"}, (), ["hello-admin", "hello"]),
        ({"public": "hello", "admin": "hello-admin"}, (), ["hello-admin", "hello"]),
        ({"public": "hello-public"}, (), ["hello", "hello-public"]),
        ({"gone": "hello"}, (), ["hello", "hello-public"]),
        ({"gone": "hello"}, ("hello",), ["hello-admin", "hello-public"]),
        ({"public": "of-another-name"}, (), ["hello-admin", "hello"]),
        ({"public": "another", "admin": "another-admin"}, (), ["hello-admin", "hello"]),
        ({"public": "my-admin-public", "admin": "my-admin"}, (), ["hello", "hello-public"]),
        ({"public": "another-public"}, (), ["hello", "hello-public"]),
        ({"gone": "another", "public": "another-public"}, (), ["hello", "hello-public"]),
        ({"public": "one", "admin": "two"}, (), ["hello", "hello-public"]),
    ],
)
def test_a_service_stays_with_its_component(held: dict[str, str], reserved: tuple[str, ...], expected: Any) -> None:
    both = record(provider(component="admin"), provider(component="public"))
    assert [one.name for one in plan(both, read_options({}), held, reserved).services] == expected


def test_reach_beyond_the_host_configs_is_left_out_and_reported() -> None:
    asked = read_options(
        {
            naming.SERVICE_TYPE: "LoadBalancer",
            naming.SERVICE_ANNOTATIONS: '{"example.com/a": "b"}',
            naming.GATEWAY: "main",
            naming.INGRESS_CLASS: "nginx",
        }
    )
    nothing = asked.within(read_reach(""), where="the host config")
    assert (nothing.type, nothing.annotations, nothing.gateway, nothing.ingress_class) == ("ClusterIP", {}, None, "")
    assert [problem.reason for problem in nothing.problems] == ["ExposureNotAllowed"] * 3
    some = asked.within(read_reach("loadbalancer, Ingress,nonsense"), where="the host config")
    assert (some.type, some.annotations) == ("LoadBalancer", {"example.com/a": "b"})
    assert (some.gateway, some.ingress_class) == (None, "nginx")
    assert ["Gateway" in str(problem) for problem in some.problems] == [True]
    assert asked.within(frozenset()).problems == ()
    unread = frozenset({naming.SERVICE_TYPE, naming.SERVICE_NAME, naming.INGRESS_CLASS})
    wrong = read_options(dict.fromkeys(unread, "no good"))
    assert wrong.unread == unread
    assert wrong.within(frozenset()).unread == {naming.SERVICE_NAME}, "what is not allowed is not kept either"
    assert wrong.within(read_reach("NodePort,Ingress")).unread == unread


def test_the_applications_annotations_count_before_the_manifests() -> None:
    mine = record(provider(), annotations={naming.SERVICE_NAME: "from-manifest"})
    assert plan(mine, read_options(mine.annotations or {})).services[0].name == "from-manifest"
    assert plan(mine, read_options({})).services[0].name == "hello"
    assert plan(mine, read_options({naming.SERVICE: "false"})).services == ()
    assert plan(mine, read_options({naming.SERVICE: "False"})) == Plan()


def test_options() -> None:
    options = read_options(
        {
            naming.SERVICE_NAME: "web",
            naming.SERVICE_TYPE: "LoadBalancer",
            naming.SERVICE_ANNOTATIONS: json.dumps({"example.com/a": "b"}),
            naming.GATEWAY: "infra/main/https",
            naming.INGRESS_CLASS: "nginx",
        }
    )
    assert (options.name, options.type, options.annotations) == ("web", "LoadBalancer", {"example.com/a": "b"})
    assert (options.gateway, options.ingress_class) == (Gateway("main", "infra", "https"), "nginx")
    assert options.problems == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (naming.SERVICE_NAME, "Not_Valid"),
        (naming.SERVICE_NAME, "1st"),
        (naming.SERVICE_TYPE, "ExternalName"),
        (naming.SERVICE_TYPE, "Headless"),
        (naming.SERVICE_ANNOTATIONS, "{"),
        (naming.SERVICE_ANNOTATIONS, "[]"),
        (naming.SERVICE_ANNOTATIONS, '{"a": 1}'),
        (naming.SERVICE_ANNOTATIONS, '{"a b": "c"}'),
        (naming.SERVICE_ANNOTATIONS, '{"a": "half \\ud800 a character"}'),
        (naming.SERVICE_ANNOTATIONS, '{"example..com/a": "b"}'),
        (naming.SERVICE_ANNOTATIONS, '{"example-.com/a": "b"}'),
        (naming.SERVICE_ANNOTATIONS, json.dumps({f"{'a.' * 127}b/a": "c"})),
        (naming.SERVICE_ANNOTATIONS, '{"k8s.wasmcloud.dev/application": "other"}'),
        (naming.GATEWAY, "a/b/c/d"),
        (naming.GATEWAY, "/"),
        (naming.GATEWAY, "infra.example/main"),
        (naming.GATEWAY, f"{'a' * 64}/main"),
        (naming.INGRESS_CLASS, "no good"),
        (naming.INGRESS_CLASS, "nginx..internal"),
        (naming.HOST, "shop.example.com,under_score"),
        (naming.HOST, "http://shop.example.com"),
        (naming.HOST, "10.0.0.1"),
        (naming.HOST, f"{'a.' * 127}b"),
        (naming.TLS_SECRET, "no good"),
        (naming.TLS_SECRET, "shop-.tls"),
        (naming.TLS_SECRET, "a" * 254),
        (naming.ROUTE_ANNOTATIONS, "[]"),
        (naming.HTTP_PORT, "none"),
        (naming.HTTP_PORT, "0"),
        (naming.HTTP_PORT, "a=70000"),
    ],
)
def test_a_mistake_in_an_annotation_is_named_and_counts_as_not_written_where_nothing_is_there(
    key: str, value: str
) -> None:
    options = read_options({key: value})
    [problem] = options.problems
    assert (problem.reason, problem.path) == ("InvalidAnnotation", f'metadata.annotations["{key}"]')
    assert read_options({}) == type(options)()
    assert (options.name, options.type, options.annotations, options.gateway) == ("", "ClusterIP", {}, None)


def test_routes_take_hosts_and_paths_from_the_manifest() -> None:
    asked = {naming.GATEWAY: "infra/main/web", naming.INGRESS_CLASS: "nginx"}
    by_host = Endpoint(
        port=80,
        scheme="http",
        family="IPv4",
        mode="host",
        links=("a", "b"),
        routes=(Route("A.example.com"), Route("b.example.com:8080")),
    )
    route = render.http_route(planned(by_host, annotations=asked), "team", LATTICE, [])
    assert route is not None
    assert route["spec"] == {
        "parentRefs": [{"name": "main", "namespace": "infra", "sectionName": "web"}],
        "hostnames": ["a.example.com", "b.example.com"],
        "rules": [{"backendRefs": [{"name": "hello", "port": 80}]}],
    }
    by_path = Endpoint(
        port=80,
        scheme="http",
        family="IPv4",
        mode="path",
        links=("a",),
        routes=(Route(path="/api"), Route(path="/x/{*rest}")),
    )
    ingress = render.ingress(planned(by_path, annotations=asked | {naming.HOST: "*"}), "team", LATTICE, [])
    assert ingress is not None
    [rule] = ingress["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/api", "/x"]
    assert "host" not in rule
    assert ingress["spec"]["ingressClassName"] == "nginx"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", render.PathMatch("/", exact=True)),
        ("/api/v1", render.PathMatch("/api/v1", exact=True)),
        ("/api/{*rest}", render.PathMatch("/api", exact=False)),
        ("/{*rest}", render.PathMatch("/", exact=False)),
        ("/{{literal}}", None),
        ("/api{*rest}", None),
        ("/users/{id}", None),
        ("/users/{id}/{*rest}", None),
        ("/files/{*path}/more", None),
        ("api", None),
        ("", None),
        ("/~user/a%20b;v=1/", render.PathMatch("/~user/a%20b;v=1/", exact=True)),
        ("/a b", None),
        ("/straße", None),
        ("/100%", None),
        ("/a//b", None),
        ("/a/../b", None),
        ("/a/.", None),
        ("/a%2Fb", None),
        ("/a?b=c", None),
        ("/" + "a" * 1024, None),
    ],
)
def test_a_path_is_matched_as_the_provider_does_or_not_at_all(path: str, expected: render.PathMatch | None) -> None:
    assert render.path_match(path) == expected


def test_many_paths_stand_in_rules_as_short_as_every_gateway_api_takes_them() -> None:
    routes = tuple(Route(path=f"/{number}") for number in range(17))
    by_path = Endpoint(port=80, scheme="http", family="IPv4", mode="path", links=("a",), routes=routes)
    asked = {naming.GATEWAY: "main", naming.HOST: "a.example.com"}
    route = render.http_route(planned(by_path, annotations=asked), "team", LATTICE, [])
    assert route is not None
    rules = route["spec"]["rules"]
    assert [len(rule["matches"]) for rule in rules] == [8, 8, 1]
    assert [match["path"]["value"] for rule in rules for match in rule["matches"]] == [one.path for one in routes]
    assert all(rule["backendRefs"] == [{"name": "hello", "port": 80}] for rule in rules)


def test_without_a_host_nothing_takes_everybodys_requests_unless_asked_for() -> None:
    classed = {naming.INGRESS_CLASS: "nginx"}
    assert render.ingress(planned(annotations=classed), "team", LATTICE, []) is None
    assert [one.reason for one in render.route_problems(planned(annotations=classed))] == ["HostMissing"]
    every = planned(annotations=classed | {naming.HOST: "*"})
    found = render.ingress(every, "team", LATTICE, [])
    assert found is not None
    assert "host" not in found["spec"]["rules"][0]
    assert render.route_problems(every) == []


def test_hosts_certificate_and_annotations_of_routes_come_from_the_application() -> None:
    asked = {
        naming.INGRESS_CLASS: "nginx",
        naming.GATEWAY: "main",
        naming.HOST: "shop.example.com, *.shop.example.com",
        naming.TLS_SECRET: "shop-tls",
        naming.ROUTE_ANNOTATIONS: '{"cert-manager.io/cluster-issuer": "letsencrypt"}',
    }
    hosts = ["shop.example.com", "*.shop.example.com"]
    ingress = render.ingress(planned(annotations=asked), "team", LATTICE, [])
    route = render.http_route(planned(annotations=asked), "team", LATTICE, [])
    assert ingress is not None
    assert route is not None
    assert [rule["host"] for rule in ingress["spec"]["rules"]] == hosts == route["spec"]["hostnames"]
    assert ingress["spec"]["tls"] == [{"secretName": "shop-tls", "hosts": hosts}]
    for body in (ingress, route):
        assert body["metadata"]["annotations"]["cert-manager.io/cluster-issuer"] == "letsencrypt"
    assert "cert-manager.io/cluster-issuer" not in service_of(planned(annotations=asked))["metadata"]["annotations"]


def test_a_backend_that_speaks_https_gets_its_hints_or_a_warning() -> None:
    secure = Endpoint(port=8443, scheme="https", family="IPv4", mode="address", links=())
    asked = {naming.INGRESS_CLASS: "nginx", naming.GATEWAY: "main", naming.HOST: "a.example.com"}
    one = planned(secure, annotations=asked)
    ingress = render.ingress(one, "team", LATTICE, [])
    assert ingress is not None
    assert ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS"
    hints = service_of(one)["metadata"]["annotations"]
    assert hints["traefik.ingress.kubernetes.io/service.serversscheme"] == "https"
    assert [(problem.reason, "BackendTLSPolicy" in problem.message) for problem in render.route_problems(one)] == [
        ("HttpsBackend", True)
    ]


def test_a_path_that_no_route_can_have_is_reported_and_makes_no_route() -> None:
    by_path = Endpoint(
        port=80, scheme="http", family="IPv4", mode="path", links=("a",), routes=(Route(path="/users/{id}"),)
    )
    one = planned(by_path, annotations={naming.INGRESS_CLASS: "nginx", naming.HOST: "a.example.com"})
    assert render.ingress(one, "team", LATTICE, []) is None
    assert [(problem.reason, "/users/{id}" in problem.message) for problem in render.route_problems(one)] == [
        ("PathNotRoutable", True)
    ]


@pytest.mark.parametrize("port", [4222, 8222, 9090])
def test_no_service_leads_to_what_else_listens_in_the_pod(port: int) -> None:
    ports = (
        Endpoint(port=port, scheme="http", family="IPv4", mode="address", links=()),
        Endpoint(port=8080, scheme="http", family="IPv4", mode="address", links=()),
    )
    made = plan(record(provider(*ports)), read_options({}), pod_ports={**POD_PORTS, 9090: "the host's admin endpoint"})
    assert [endpoint.port for endpoint in made.services[0].provider.endpoints] == [8080]
    assert [(problem.reason, str(port) in problem.message) for problem in made.problems] == [("PortReserved", True)]


@pytest.mark.parametrize("text", ["8443", "httpserver=8443", "other=1, httpserver=8443", "1, httpserver=8443"])
def test_the_port_of_a_server_that_cannot_be_read_is_named_by_annotation(text: str) -> None:
    unread = HttpProvider(
        component="httpserver", application="hello", id="hello-httpserver", endpoints=(), path="spec.components[0]"
    )
    problems = (
        Problem(Reason.PORT_UNKNOWN, "spec.components[0]", "…"),
        Problem(Reason.PORT_UNKNOWN, "spec.components[1]", "…"),
    )
    made = plan(
        Record(application="hello", version="v1", exposure=Exposure((unread,), problems)),
        read_options({naming.HTTP_PORT: text}),
    )
    assert [endpoint.port for endpoint in made.services[0].provider.endpoints] == [8443]
    assert made.problems == problems[1:]
    kept = plan(
        Record(application="hello", version="v1", exposure=Exposure((unread,), problems)),
        read_options({naming.HTTP_PORT: "other=1"}),
    )
    assert (kept.services[0].provider.endpoints, kept.problems) == ((), problems)


def test_a_port_by_annotation_replaces_no_setting_and_mends_nothing_else() -> None:
    assert planned(annotations={naming.HTTP_PORT: "8443"}).provider.endpoints == (ONE,)
    unread = HttpProvider(
        component="httpserver", application="hello", id="hello-httpserver", endpoints=(), path="spec.components[0]"
    )
    other = Problem(Reason.CONFIG_MISSING, "spec.components[0]", "…")
    made = plan(
        Record(application="hello", version="v1", exposure=Exposure((unread,), (other,))),
        read_options({naming.HTTP_PORT: "8443"}),
    )
    assert made.problems == (other,)


def service_of(one: PlannedService) -> Any:
    return render.service(one, "team", LATTICE, [])


def test_no_route_unless_it_is_asked_for() -> None:
    assert render.http_route(planned(), "team", LATTICE, []) is None
    assert render.ingress(planned(), "team", LATTICE, []) is None


@pytest.mark.parametrize(
    ("example", "name", "kind"), [("basic", "hello", "ClusterIP"), ("options", "web", "LoadBalancer")]
)
def test_the_examples_say_what_they_promise(example: str, name: str, kind: str) -> None:
    path = Path(__file__).parents[3] / "manifests" / "examples" / f"service-{example}.yaml"
    made = yaml.safe_load(path.read_text())
    found = exposure(made)
    assert found.problems == ()
    [planned] = plan(
        Record(application=made["metadata"]["name"], version="v1", exposure=found),
        read_options(made["metadata"]["annotations"]),
    ).services
    assert (planned.name, planned.options.type, planned.options.problems) == (name, kind, ())
    assert [endpoint.port for endpoint in planned.provider.endpoints] == [8080]
