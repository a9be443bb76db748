"""What an unfriendly tenant, hub, publisher or wadm does, each for as long as it is entered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import nats

from support.hostile.nats import TLS_FAULTS, HostileNats, Script, drip, failing_tls, flood, greet, info_line
from support.hostile.trial import SECRET, Trial
from support.sites.applications import application
from support.sites.hostpools import CONFIG, DEPLOYMENT, exists, host_config, secret, shown
from testbed import NatsServer
from testbed.admin import ApiError
from testbed.pki import Pki
from wasmcloud_operator.lattice.testing import flushed

MIB = 1024 * 1024
KIB = 1024

HUBS: dict[str, Script] = {
    "length": flood(b"MSG a 1 99999999999\r\n" + b"x" * MIB),
    "line": flood(b"MSG " + b"x" * MIB),
    "info": flood(info_line(connect_urls=[f"10.0.0.{one % 250}:{one}" for one in range(10_000)])),
    "frames": flood(b"MSG news 1 2\r\nhi\r\n" * 4096),
    "expired": flood(b"-ERR 'user authentication expired'\r\n"),
    "headers": flood(b"HMSG a 1 12 12\r\nNATS/1.0\r\n\r\n\r\n" * 1024),
    "errors": flood(f"-ERR '{SECRET}'\r\n".encode() * 512),
    "drip": drip(info_line(), pause=0.5),
    "silence": greet(b""),
    "ssh": greet(f"SSH-2.0-{SECRET}\r\n".encode()),
    "http": greet(f"HTTP/1.1 407 {SECRET}\r\nX: {SECRET}\r\n\r\n{SECRET}".encode()),
}


@contextlib.asynccontextmanager
async def hubs(trial: Trial) -> AsyncIterator[None]:
    """A host config for each script, over NATS and over websockets."""
    async with contextlib.AsyncExitStack() as servers:
        for kind, script in HUBS.items():
            server = await servers.enter_async_context(HostileNats.start(script))
            for scheme in ("nats", "ws", "wss"):
                address = f"{scheme}://user:{SECRET}@127.0.0.1:{server.port}"
                await _pool(trial, f"{kind}-{scheme}", natsAddress=address, lattice=f"{kind}-{scheme}")
        yield
        await trial.admin.delete_all(CONFIG, trial.namespace)


@contextlib.asynccontextmanager
async def tls(trial: Trial) -> AsyncIterator[None]:
    """A host config for each way in which TLS fails."""
    pki = Pki.create(trial.folder / "pki", ["127.0.0.1"])
    other = Pki.create(trial.folder / "other", ["elsewhere.example"])
    await trial.admin.create(secret(trial.namespace, "ca", {"ca.crt": pki.ca_cert.read_text()}))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(other.serving_cert, other.serving_key)
    async with contextlib.AsyncExitStack() as servers:
        for fault, scheme in itertools.product(TLS_FAULTS, ("tls", "wss")):
            script = failing_tls(fault, scheme, context)
            wrapped = context if scheme == "wss" and fault == "certificate" else None
            server = await servers.enter_async_context(HostileNats.start(script, tls=wrapped))
            address = f"{scheme}://user:{SECRET}@127.0.0.1:{server.port}"
            await _pool(trial, f"{fault}-{scheme}", natsAddress=address, natsTls={"secretName": "ca"})
        yield
        await trial.admin.delete_all(CONFIG, trial.namespace)


@contextlib.asynccontextmanager
async def made_up_hosts(trial: Trial) -> AsyncIterator[None]:
    """Heartbeats of 720 KB by anybody who may publish in the lattice."""
    components = [{"id": f"{number:0600}"} for number in range(1100)]

    async def publish(client: Any) -> None:
        for number in itertools.count():
            body = {"host_id": f"N{number}", "components": components, "providers": []}
            event = {"type": "com.wasmcloud.lattice.host_heartbeat", "source": f"N{number}", "data": body}
            await client.publish(f"wasmbus.evt.{trial.namespace}.host_heartbeat", json.dumps(event).encode())
            await flushed(client)

    async with _publishing(trial, publish):
        await shown(trial.admin, trial.namespace, "pool", LatticeConnected="True")
        yield


@contextlib.asynccontextmanager
async def odd_messages(trial: Trial) -> AsyncIterator[None]:
    """CloudEvents, pushes and answers with odd fields, on every subject that the operator reads."""
    lattice = trial.namespace
    subjects = (
        f"wasmbus.evt.{lattice}.host_heartbeat",
        f"wasmbus.evt.{lattice}.provider_started",
        f"wadm.evt.{lattice}.manifest_published",
        f"wadm.evt.{lattice}",
        f"wadm.status.{lattice}.served",
        f"wasmbus.cfg.{lattice}.req",
    )

    async def publish(client: Any) -> None:
        for payload in itertools.cycle(_odd_payloads()):
            for subject in subjects:
                await client.publish(subject, payload, reply=f"_INBOX.{SECRET}")
            await flushed(client)

    async with _publishing(trial, publish):
        yield


@contextlib.asynccontextmanager
async def odd_wadm(trial: Trial) -> AsyncIterator[None]:
    """A wadm, and hosts, that answer with values of other types, to a tenant with many Applications."""
    odd = itertools.cycle(_odd_payloads())

    async def answer(message: Any) -> None:
        await message.respond(next(odd))

    async def serve(client: Any) -> None:
        for subject in ("wadm.api.>", "wasmbus.ctl.>", "$SYS.REQ.USER.INFO"):
            await client.subscribe(subject, cb=answer)
        for number in range(20):
            await trial.admin.create(application(trial.namespace, f"app-{number}"))
        await asyncio.Event().wait()

    async with _publishing(trial, serve):
        yield
        # What wadm would have to end first, and never will.
        for number in range(20):
            await _without_finalizers(trial, f"app-{number}")


@contextlib.asynccontextmanager
async def objects(trial: Trial) -> AsyncIterator[None]:
    """Host configs and Applications, as deep, long, wide and many as the API server takes them."""
    for number, made in enumerate(_odd_objects(trial.namespace)):
        with contextlib.suppress(ApiError):  # the API server's own limits are not the matter
            await trial.admin.create(made | {"metadata": {"name": f"odd-{number}", **made["metadata"]}})
    for number in range(150):
        await _pool(trial, f"many-{number}", secretName="missing", lattice=f"l{number}")
    yield
    for kind in (CONFIG, "core.oam.dev/v1beta1/Application"):
        await trial.admin.delete_all(kind, trial.namespace)


@contextlib.asynccontextmanager
async def references(trial: Trial) -> AsyncIterator[None]:
    """Secrets and ConfigMaps made to be slow to parse, changed again and again."""
    texts = _odd_texts()
    for kind, text in texts.items():
        await _refer(trial, kind, text)

    async def change() -> None:
        for number in itertools.count():
            for kind, text in texts.items():
                await trial.admin.apply(_config_map(trial, f"{kind}-ca", f"{number}{text}"))
            await asyncio.sleep(0.2)

    changing = asyncio.create_task(change())
    try:
        yield
    finally:
        await _cancelled(changing)
    await trial.admin.delete_all(CONFIG, trial.namespace)


@contextlib.asynccontextmanager
async def config_requests(trial: Trial) -> AsyncIterator[None]:
    """Requests for the registry credentials of a pool, by anybody who may publish."""
    auths = {registry: {"username": "u", "password": SECRET} for registry in ("a", "b")}
    docker = {".dockerconfigjson": json.dumps({"auths": auths})}
    await trial.admin.create(secret(trial.namespace, "pull", docker, "kubernetes.io/dockerconfigjson"))

    async def publish(client: Any) -> None:
        (pod,) = await _pods(trial)
        about = {"kubernetes_pod_name": pod["metadata"]["name"], "kubernetes_pod_uid": pod["metadata"]["uid"]}
        payload = json.dumps({"labels": about}).encode()
        while True:
            for _ in range(200):
                await client.publish(f"wasmbus.cfg.{trial.namespace}.req", payload, reply="_INBOX.x")
            await flushed(client)

    async with _publishing(trial, publish, registryCredentialsSecret="pull"):
        yield


ATTACKS = {
    attack.__name__: attack
    for attack in (
        hubs,
        tls,
        made_up_hosts,
        odd_messages,
        odd_wadm,
        objects,
        references,
        config_requests,
    )
}


async def _pool(trial: Trial, name: str, **spec: Any) -> None:
    await trial.admin.create(host_config(trial.namespace, name, **{"hostReplicas": 0, **spec}))


async def _pods(trial: Trial) -> list[dict[str, Any]]:
    await exists(trial.admin, DEPLOYMENT, trial.namespace)
    found: list[dict[str, Any]] = []
    while not found:
        found = await trial.admin.list("v1/Pod", trial.namespace, labels="app.kubernetes.io/instance=pool")
        await asyncio.sleep(0.1)
    return found[:1]


@contextlib.asynccontextmanager
async def _publishing(trial: Trial, work: Callable[[Any], Awaitable[None]], **spec: Any) -> AsyncIterator[None]:
    """A pool at a hub of the tenant's own, and somebody with a connection to that hub."""
    async with NatsServer.start(trial.folder / "unfriendly-nats") as hub:
        spec = {"natsAddress": hub.url, "lattice": trial.namespace, "hostReplicas": 1, **spec}
        await trial.admin.create(host_config(trial.namespace, **spec))
        client = await nats.connect(hub.url)
        try:
            working = asyncio.ensure_future(work(client))
            yield
            assert not working.done(), working
            await _cancelled(working)
        finally:
            await client.close()
        await trial.admin.delete_all(CONFIG, trial.namespace)


async def _cancelled(task: asyncio.Future[None]) -> None:
    while not task.done():
        task.cancel()  # nats-py's flush may take a cancellation for its answer
        await asyncio.wait([task], timeout=1)


async def _without_finalizers(trial: Trial, name: str) -> None:
    kind = "core.oam.dev/v1beta1/Application"
    await trial.admin.delete(kind, name, trial.namespace)
    with contextlib.suppress(ApiError):  # it is gone already
        await trial.admin.patch(kind, name, trial.namespace, {"metadata": {"finalizers": None}})


def _nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def _odd_payloads() -> list[bytes]:
    """JSON of the right shape with fields of another kind, and what is no JSON."""
    values = [
        "null", "true", "-1", "1e999", "NaN", "9" * 5000, '""', "[]", "{}", '"\\ud800"', f'"{SECRET}"', '"a\\u0000"',
        _nested(900), "[" * 5000 + "]" * 5000, '["x"' + ',"x"' * 5000 + "]", f'{{"{"k" * 60_000}": "{"v" * 60_000}"}}',
    ]  # fmt: skip
    frames = [
        '{"type":"com.wasmcloud.lattice.host_heartbeat","source":%s,"data":{"host_id":%s,"providers":[]}}',
        '{"type":%s,"source":"N","time":%s,"data":null}',
        '{"type":"host_heartbeat","source":"N1","data":{"host_id":"N1","labels":%s,"friendly_name":%s}}',
        '{"type":"host_heartbeat","source":"N2","data":{"host_id":"N2","components":%s,"uptime_seconds":%s}}',
        '{"type":"host_started","source":"N3","data":{"id":"N3","labels":{"kubernetes_pod_uid":%s},"version":%s}}',
        '{"type":"com.wadm.manifest_published","data":{"metadata":%s,"spec":%s}}',
        '{"type":"com.wadm.manifest_published","data":{"metadata":{"name":%s},"spec":{"components":%s}}}',
        '{"status":{"type":%s,"message":"' + SECRET + '"},"scalers":%s}',
        '{"status":%s,"scalers":[{"id":%s}]}',
        '{"result":"success","models":%s,"versions":%s,"message":"' + SECRET + '"}',
        '{"result":%s,"name":%s}',
        '{"success":true,"response":{"host_id":%s,"providers":%s}}',
        '{"labels":%s,"data":{"account":%s}}',
    ]
    # The log names a host that does not answer, /debug/keys an application that is being read: names are no secrets.
    framed = [
        (frame, value.replace(SECRET, "nobody") if '"host_id":%s' in frame or '"name":%s' in frame else value)
        for frame in frames
        for value in values
    ]
    shaped = [(frame % (value, value)).encode() for frame, value in framed]
    return [*shaped, *(value.encode() for value in values), b"", b"\xff\xfe", b"\0" * 1000]


def _odd_objects(namespace: str) -> Iterator[dict[str, Any]]:
    def config(about: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        made = host_config(namespace, "x", **{"hostReplicas": 0, **spec})
        return made | {"metadata": {"namespace": namespace, **(about or {})}}

    def app(about: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
        made = application(namespace, "x", **properties)
        return made | {"metadata": {"namespace": namespace, **(about or {})}}

    longest = ".".join(["n" * 62] * 4)
    many = {f"label-{number}": "v" * 60 for number in range(2000)}
    yield app(config=json.loads(_nested(400)))
    yield config({"name": longest})
    yield app({"name": longest[:200]})
    yield config({"annotations": {"a": "x" * 250 * KIB}})
    yield app({"annotations": {"k8s.wasmcloud.dev/revision-history-limit": "9" * 250 * KIB}})
    yield app({"annotations": {"expose.k8s.wasmcloud.dev/hosts": "a," * 120 * KIB}})
    yield app({"annotations": {"version": "v" * 200 * KIB}})
    yield config({"labels": many})
    yield config(hostLabels=many)
    yield config(natsAddress=",".join(["nats://a"] * 20_000))
    yield config(natsAddress="nats://" + "[" * 1000)
    yield config(lattice="l" * 250)
    yield config(version="9" * 120)
    yield config(issuers=["C" * 60] * 5000)
    yield config(natsAddress=f"nats://{SECRET}@")
    yield config(natsAddress=f"tls://user:{SECRET}@127.0.0.1:9", natsTls={"secretName": "no-such-secret"})
    for deep in (50, 1400, 4000):
        nested = json.loads(_nested(min(deep, 900)))
        yield config(schedulingOptions={"podTemplateAdditions": {"affinity": nested, "volumes": [nested]}})
    yield app(image="i" * 500 * KIB)
    yield app(config=[{"name": "c", "properties": {f"k{number}": SECRET for number in range(5000)}}])


def _odd_texts() -> dict[str, str]:
    size = 700 * KIB

    def repeated(piece: str) -> str:
        return piece * (size // len(piece))

    return {
        "openers": repeated("-----BEGIN CERTIFICATE-----\n"),
        "trusted": repeated("-----BEGIN TRUSTED CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"),
        "keys": repeated("-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n-----END PRIVATE KEY-----\n"),
        "jwts": repeated("-----BEGIN NATS USER JWT-----\n------END USER NKEY SEED------\n"),
        "dashes": repeated("-"),
        "base64": "-----BEGIN CERTIFICATE-----\n" + repeated("A") + "\n-----END CERTIFICATE-----\n",
        "docker": '{"auths":{' + ",".join(f'"h{n}":{{"auth":"{SECRET}"}}' for n in range(15_000)) + "}}",
        "deep": "[" * size,
    }


def _config_map(trial: Trial, name: str, text: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": trial.namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a.crt": text}}


async def _refer(trial: Trial, kind: str, text: str) -> None:
    """A host config for each way in which one may refer to such a text."""
    admin, namespace = trial.admin, trial.namespace
    await admin.create(_config_map(trial, f"{kind}-ca", text))
    keys = dict.fromkeys(("nats.creds",), text)
    await admin.create(secret(namespace, f"{kind}-creds", keys))
    await admin.create(secret(namespace, f"{kind}-tls", {"ca.crt": text}))
    await admin.create(secret(namespace, f"{kind}-registries", {".dockerconfigjson": text}))
    await _pool(trial, f"{kind}-a", certificates={"authorities": [{"name": "a", "configMap": {"name": f"{kind}-ca"}}]})
    await _pool(trial, f"{kind}-b", secretName=f"{kind}-creds")
    await _pool(trial, f"{kind}-c", natsTls={"secretName": f"{kind}-tls"})
    await _pool(trial, f"{kind}-d", registryCredentialsSecret=f"{kind}-registries")
