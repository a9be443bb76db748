"""Addresses and nats.conf: nothing that a user writes is anything but a value, by the word of the real nats-server."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.objects.hostpools import config
from testbed.cache import ensure
from wasmcloud_operator.hostpool.nats_addresses import client_urls, leaf_urls
from wasmcloud_operator.hostpool.natsconf import LeafFiles, nats_conf, quoted
from wasmcloud_operator.shared.problem import SpecError

# What a field of that kind may hold by the schema: anything but what NATS subjects or control characters forbid.
DOMAINS = st.text(st.characters(blacklist_categories=("C", "Z"), blacklist_characters=".*>"), min_size=1, max_size=40)
SECRETS = st.text(st.characters(blacklist_categories=("C", "Z")), max_size=30)
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,8})?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
)
PORTS = st.one_of(st.just(""), st.integers(1, 65535).map(lambda port: f":{port}"))


def spec(**fields):
    return config(fields).spec


@pytest.mark.parametrize(
    ("address", "client", "leaf"),
    [
        ("nats://h", "nats://h:4222", "nats-leaf://h:7422"),
        ("h", "nats://h:4222", "nats-leaf://h:7422"),
        ("nats://h:4222", "nats://h:4222", "nats-leaf://h:7422"),
        ("nats://h:14222", "nats://h:14222", "nats-leaf://h:7422"),
        ("tls://h.example:443", "tls://h.example:443", "tls://h.example:7422"),
        ("nats://u:p@h", "nats://u:p@h:4222", "nats-leaf://u:p@h:7422"),
        ('nats://u:p"}@h', "nats://u:p%22%7D@h:4222", "nats-leaf://u:p%22%7D@h:7422"),
        ("nats://to%40ken@h", "nats://to%40ken@h:4222", "nats-leaf://to%40ken@h:7422"),
        ("nats://[fd00::1]", "nats://[fd00::1]:4222", "nats-leaf://[fd00::1]:7422"),
        ("nats://[fd00::1]:1", "nats://[fd00::1]:1", "nats-leaf://[fd00::1]:7422"),
        ("ws://h", "ws://h:80", "ws://h:80"),
        ("wss://h:8443", "wss://h:8443", "wss://h:8443"),
        ("wss://h/", "wss://h:443", "wss://h:443"),
        ("nats://a, nats://b:9,", "nats://a:4222 nats://b:9", "nats-leaf://a:7422 nats-leaf://b:7422"),
    ],
)
def test_addresses(address, client, leaf):
    assert client_urls(spec(natsAddress=address)) == tuple(client.split())
    assert leaf_urls(spec(natsAddress=address)) == tuple(leaf.split())


def test_a_single_leaf_listener_is_named_once():
    assert leaf_urls(spec(natsAddress="a:1,a:2,b")) == ("nats-leaf://a:7422", "nats-leaf://b:7422")


def test_ports_of_ones_own():
    ports = {"natsClientPort": 1, "natsLeafnodePort": 2}
    assert client_urls(spec(natsAddress="a,b:9", **ports)) == ("nats://a:1", "nats://b:9")
    assert leaf_urls(spec(natsAddress="a,b:9", **ports)) == ("nats-leaf://a:2", "nats-leaf://b:2")


@pytest.mark.parametrize(
    "address",
    [
        "http://h", "nats://", "nats://h:0", "nats://h:70000", "nats://h:x", "nats://h/path", "nats://h?x=1", "nats://h#x",
        'nats://h"', "nats://h}", "nats://-h", "nats://fd00::1:4222", "nats://[fd00::1%25eth0]", "nats://[1.2.3.4]",
        "nats://:::", ",", " , ", "nats://a b", "nats://a,ws://b", "$HOME", "nats://u:secret@", "nats://u:secret",
    ],
)  # fmt: skip
def test_bad_addresses_are_refused_by_field(address):
    with pytest.raises(SpecError) as raised:
        leaf_urls(spec(natsAddress=address))
    (problem,) = raised.value.problems
    assert (problem.reason, problem.path) == ("InvalidNatsAddress", ".spec.natsAddress")
    assert "secret" not in str(raised.value)


def test_the_configuration_of_a_leaf():
    text = nats_conf(spec(natsAddress="h"), LeafFiles(), on_pod=True)
    assert (
        text
        == """\
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
jetstream {
  domain: "leaf"
  store_dir: "/data"
  max_file_store: 1073741824
  max_memory_store: 268435456
}
leafnodes {
  remotes: [
    {
      urls: ["nats-leaf://h:7422"]
    }
  ]
}
"""
    )


@pytest.fixture(scope="module")
def nats_server():
    return asyncio.run(ensure("nats-server"))


@pytest.fixture
def accepts(nats_server, tmp_path):
    """Whether the real server takes a configuration; paths of the pod are moved to a folder of the test."""

    def check(text):
        path = tmp_path / "nats.conf"
        path.write_text(text.replace('store_dir: "/data"', f"store_dir: {quoted(str(tmp_path / 'data'))}"))
        done = subprocess.run([nats_server, "-t", "-c", path], capture_output=True, text=True, timeout=120, check=False)
        return done.returncode == 0, done.stdout + done.stderr

    return check


FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@given(
    domain=DOMAINS,
    user=SECRETS,
    password=SECRETS,
    hosts=st.lists(st.tuples(HOSTS, PORTS), min_size=1, max_size=3),
    scheme=st.sampled_from(["nats", "tls", "ws", "wss"]),
    service=st.booleans(),
)
@FEW
def test_whatever_is_rendered_loads(accepts, domain, user, password, hosts, scheme, service):
    userinfo = "".join(f"%{byte:02X}" for byte in user.encode())
    if userinfo:
        userinfo += ":" + "".join(f"%{byte:02X}" for byte in password.encode()) + "@"
    addresses = ",".join(f"{scheme}://{userinfo}{host}{port}" for host, port in hosts)
    made = spec(natsAddress=addresses, leafNodeDomain=domain, leafService={"enabled": service})
    text = nats_conf(made, LeafFiles(), on_pod=service)
    ok, said = accepts(text)
    assert ok, said


@given(address=st.text(st.characters(blacklist_categories=("C",)), min_size=1, max_size=60))
@FEW
def test_any_text_as_address_is_refused_or_loads(accepts, address):
    try:
        text = nats_conf(spec(natsAddress=address), LeafFiles(), on_pod=True)
    except SpecError:
        return
    ok, said = accepts(text)
    assert ok, said


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('a"}\nport 1\n"', r"a\"}\nport 1\n\""), ("$PATH", "$PATH"), ("a\\", r"a\\"), ("é\u2028", r"é\u2028"),
        ("\x01\x7f", r"\x01\x7f"), ("# x", "# x"), ("a'b", "a'b"), ("//c", "//c"), ("\\x41\\t", r"\\x41\\t"),
    ],
)  # fmt: skip
def test_a_quoted_value_arrives_as_it_is(accepts, value, shown):
    ok, said = accepts(f"listen: {quoted(value)}\n")
    assert not ok
    assert f'could not parse address string "{shown}"' in said


def test_credentials_and_tls_files_are_named(accepts):
    text = nats_conf(spec(natsAddress="tls://h"), LeafFiles(True, True, True), on_pod=True)
    assert 'credentials: "/nats/creds/nats.creds"' in text
    for name in ("ca.crt", "tls.crt", "tls.key"):
        assert json.dumps(f"/nats/tls/{name}") in text
    ok, said = accepts(text)
    assert not ok
    assert "/nats/tls/" in said  # understood, and only the file is missing


@pytest.mark.parametrize("size", [1, 4096, 8 << 20, 64 << 20, 2**31 - 1])
def test_a_leaf_with_the_hubs_largest_message_starts(accepts, size):
    ok, said = accepts(nats_conf(spec(natsAddress="h"), LeafFiles(), on_pod=True, max_payload=size))
    assert ok, said


def test_a_tls_address_insists_on_tls_without_a_ca():
    assert "tls {" in nats_conf(spec(natsAddress="tls://h"), LeafFiles(), on_pod=True)
    assert "tls {" not in nats_conf(spec(natsAddress="h"), LeafFiles(), on_pod=True)
