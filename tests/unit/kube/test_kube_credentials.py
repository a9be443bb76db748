"""Credentials that change while the process lives: plugins, tokens in files, certificates, the CA."""

from __future__ import annotations

import asyncio
import json
import ssl
import stat
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from testbed import eventually
from testbed.pki import Pki
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.base.write_gate import AlwaysOpen
from wasmcloud_operator.kube import exec_credential, transport
from wasmcloud_operator.kube.client import Reader, Writer
from wasmcloud_operator.kube.credentials import LIBRARY, CredentialLoader, Credentials
from wasmcloud_operator.kube.errors import NoCredentials, Unauthorized, Unreachable
from wasmcloud_operator.kube.testing import Answer, ScriptedApi, ScriptedApiServer
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport

API_VERSION = "client.authentication.k8s.io/v1"


class Plugin:
    """A credential plugin: prints what stands in a file, and leaves a line for each run."""

    def __init__(self, folder: Path) -> None:
        self.output, self.log, self.script = folder / "output", folder / "runs", folder / "plugin"
        self.script.write_text(f'#!/bin/sh\necho "$$ $KUBERNETES_EXEC_INFO" >> {self.log}\n. {folder}/then\n')
        self.script.chmod(0o755)
        self.folder = folder
        self.then(f"cat {self.output}")
        self.kubeconfig = folder / "kubeconfig"
        self.write_kubeconfig("https://scripted.invalid")

    def then(self, shell: str) -> None:
        (self.folder / "then").write_text(shell)

    def gives(self, **status: object) -> None:
        self.output.write_text(json.dumps({"apiVersion": API_VERSION, "kind": "ExecCredential", "status": status}))

    def write_kubeconfig(self, server: str, command: str = "./plugin") -> None:
        user = {"exec": {"apiVersion": API_VERSION, "command": command, "args": ["get-token"], "env": None}}
        self.kubeconfig.write_text(kubeconfig(server, user))

    @property
    def runs(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


def kubeconfig(server: str, user: dict, **cluster: object) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "c", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        }
    )


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    return Plugin(tmp_path)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


async def load(loader: CredentialLoader, *, rejected: bool = False):
    configuration = LIBRARY.configuration()
    await loader.load(configuration, rejected=rejected)
    return configuration


def contents(path: str) -> str:
    return Path(path).read_text()


def mode(path: str) -> int:
    return stat.S_IMODE(Path(path).stat().st_mode)


def runs_on(pid: int) -> bool:
    """Whether that process is there, and not only waits for its parent to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def in_(clock: VirtualClock, **span: float) -> str:
    return (clock.now() + timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


class TestPlugins:
    @pytest.fixture
    def loader(self, plugin: Plugin, clock: VirtualClock) -> CredentialLoader:
        return CredentialLoader(Credentials(plugin.kubeconfig), clock)

    async def test_a_plugin_is_run_again_when_its_credential_is_about_to_expire(
        self, plugin: Plugin, clock: VirtualClock, loader: CredentialLoader
    ):
        plugin.gives(token="one", expirationTimestamp=in_(clock, minutes=15))
        for _ in range(13):
            assert (await load(loader)).api_key["BearerToken"] == "Bearer one"
            await clock.advance(60)
        assert plugin.runs == 1
        plugin.gives(token="two", expirationTimestamp=in_(clock, minutes=15))
        await clock.advance(60)
        assert (await load(loader)).api_key["BearerToken"] == "Bearer two"
        assert plugin.runs == 2

    async def test_a_plugin_whose_credential_never_expires_is_run_once(self, plugin: Plugin, clock, loader):
        plugin.gives(token="one")
        for _ in range(5):
            await load(loader)
            await clock.advance(10**6)
        assert plugin.runs == 1

    async def test_a_plugin_is_run_again_when_its_credential_is_rejected_but_not_for_each_request(
        self, plugin: Plugin, clock: VirtualClock, loader: CredentialLoader
    ):
        plugin.gives(token="one")
        await load(loader)
        plugin.gives(token="two")
        assert (await load(loader, rejected=True)).api_key["BearerToken"] == "Bearer one"
        await clock.advance(11)
        assert (await load(loader, rejected=True)).api_key["BearerToken"] == "Bearer two"
        assert plugin.runs == 2

    async def test_a_renewed_certificate_is_taken_over(self, plugin: Plugin, clock, loader):
        for number in range(2):
            await clock.advance(11)
            content = {"clientCertificateData": f"cert {number}", "clientKeyData": f"key {number}"}
            plugin.gives(**content, expirationTimestamp=in_(clock))
            configuration = await load(loader)
            assert contents(configuration.cert_file) == f"cert {number}"
            assert contents(configuration.key_file) == f"key {number}"
            assert mode(configuration.key_file) == 0o600
        folder = Path(configuration.key_file).parent
        loader.close()
        assert folder not in set(folder.parent.iterdir())

    async def test_a_plugin_that_hangs_is_killed_with_all_it_started(self, plugin: Plugin, clock, loader, monkeypatch):
        monkeypatch.setattr(exec_credential, "_DEADLINE_SECONDS", 0.5)
        plugin.then("sleep 600")
        with pytest.raises(Unreachable, match="returned nothing"):
            await load(loader)
        pid = int(plugin.log.read_text().split()[0])
        await eventually(lambda: not runs_on(pid))
        plugin.then(f"cat {plugin.output}")
        plugin.gives(token="after all")
        await clock.advance(11)
        assert (await load(loader)).api_key["BearerToken"] == "Bearer after all"

    async def test_a_child_that_keeps_the_output_open_is_killed_when_the_plugin_has_exited(
        self, plugin: Plugin, loader
    ):
        plugin.then(f"sleep 600 & echo $! > {plugin.folder}/child; cat {plugin.output}")
        plugin.gives(token="one")
        assert (await load(loader)).api_key["BearerToken"] == "Bearer one"
        child = int((plugin.folder / "child").read_text())
        await eventually(lambda: not runs_on(child))

    async def test_a_plugin_that_prints_without_end_is_refused(self, plugin: Plugin, loader):
        plugin.then("exec yes")
        with pytest.raises(Unreachable, match="printed more than 1 MiB"):
            await load(loader)

    async def test_of_endless_words_the_last_are_shown(self, plugin: Plugin, loader):
        plugin.then("yes | head -c 3000000 >&2; echo at last >&2; exit 3")
        with pytest.raises(Unreachable, match=r"failed with 3: (y\n)+at last$") as caught:
            await load(loader)
        assert len(str(caught.value)) < 1000

    async def test_a_plugin_that_fails_is_not_run_for_each_rejected_request(self, plugin: Plugin, clock, loader):
        plugin.then("echo no session >&2; exit 1")
        for _ in range(3):
            with pytest.raises(Unreachable, match="no session"):
                await load(loader, rejected=True)
        assert plugin.runs == 1
        await clock.advance(11)
        plugin.then(f"cat {plugin.output}")
        plugin.gives(token="one")
        assert (await load(loader, rejected=True)).api_key["BearerToken"] == "Bearer one"

    async def test_a_plugin_whose_credential_expires_at_once_is_not_run_for_each_rejected_request(
        self, plugin: Plugin, clock, loader
    ):
        plugin.gives(token="one", expirationTimestamp=in_(clock, seconds=30))
        for _ in range(3):
            assert (await load(loader, rejected=True)).api_key["BearerToken"] == "Bearer one"
        assert plugin.runs == 1

    async def test_another_plugin_is_run_at_once(self, plugin: Plugin, loader):
        plugin.then("exit 1")
        with pytest.raises(Unreachable):
            await load(loader)
        plugin.gives(token="one")
        plugin.write_kubeconfig("https://scripted.invalid", command=f"{plugin.folder}/other")
        other = plugin.folder / "other"
        other.write_text(f"#!/bin/sh\ncat {plugin.output}\n")
        other.chmod(0o755)
        assert (await load(loader)).api_key["BearerToken"] == "Bearer one"

    async def test_a_plugin_gets_the_cluster_that_it_is_run_for(self, plugin: Plugin, loader):
        plugin.gives(token="one")
        await load(loader)
        info = json.loads(plugin.log.read_text().split(" ", 1)[1])
        assert info == {"apiVersion": API_VERSION, "kind": "ExecCredential", "spec": {"interactive": False}}

    @pytest.mark.parametrize(
        ("output", "why"),
        [
            ("hush-hush", "printed no ExecCredential"),
            (json.dumps({"apiVersion": API_VERSION, "status": {}}), "neither a token nor a certificate"),
            (json.dumps({"apiVersion": API_VERSION, "status": {"clientKeyData": "hush-hush"}}), "neither a token"),
            (json.dumps({"apiVersion": "other/v1", "status": {"token": "hush-hush"}}), "speaks other/v1"),
        ],
    )
    async def test_a_plugin_without_a_usable_answer_is_named_and_not_quoted(
        self, plugin, loader, output: str, why: str
    ):
        plugin.output.write_text(output)
        with pytest.raises(Unreachable, match=why) as caught:
            await load(loader)
        assert "hush-hush" not in str(caught.value)

    async def test_the_words_of_one_that_fails_are_shown(self, plugin: Plugin, loader):
        plugin.then("echo your session has expired >&2; exit 3")
        with pytest.raises(Unreachable, match="failed with 3: your session has expired"):
            await load(loader)

    async def test_a_plugin_that_is_not_installed_is_not_waited_for(self, plugin: Plugin, loader):
        plugin.write_kubeconfig("https://scripted.invalid", command="no-such-plugin")
        with pytest.raises(NoCredentials, match="no-such-plugin cannot be run"):
            await load(loader)


async def test_after_a_401_the_new_token_counts_at_once(tmp_path: Path):
    token = tmp_path / "token"
    token.write_text("old")
    api = ScriptedApi()
    async with ScriptedApiServer.serve(api) as server:
        config = tmp_path / "kubeconfig"
        config.write_text(kubeconfig(server.url, {"tokenFile": str(token)}))
        async with Transport.open(ConnectionOptions(credentials=Credentials(config))) as opened:
            client = Writer(Reader(opened), field_manager="tests", gate=AlwaysOpen())
            token.write_text("new")
            api.fail(Answer("any", 401, {"code": 401}), Answer("any", 200, {}))
            with pytest.raises(Unauthorized):
                await client.get_path("/version")
            await asyncio.sleep(0.5)  # a minute passes before it is read without a 401
            await client.get_path("/version")
    assert [r.headers["Authorization"] for r in api.requests] == ["Bearer old", "Bearer new"]


async def test_the_service_accounts_new_token_counts_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The library itself would keep the one that it read for a minute, also after a 401."""
    for name, content in (("token", "old"), ("ca.crt", "a CA")):
        (tmp_path / name).write_text(content)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(LIBRARY.incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(LIBRARY.incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    loader = CredentialLoader(Credentials())
    configuration = await load(loader)
    (tmp_path / "token").write_text("new")
    fresh = await load(loader, rejected=True)
    configuration.api_key = fresh.api_key
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer new"


@asynccontextmanager
async def serving(pki: Pki, port: int) -> AsyncIterator[int]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"major": "1"})

    app = web.Application()
    app.router.add_get("/version", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.serving_cert, pki.serving_key)
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_a_rotated_ca_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(transport, "_REFRESH_SECONDS", 0.1)
    old, new = (Pki.create(tmp_path / name, ["127.0.0.1"]) for name in ("old", "new"))
    ca, config = tmp_path / "ca.crt", tmp_path / "kubeconfig"
    ca.write_bytes(old.ca_cert.read_bytes())
    async with serving(old, 0) as port:
        config.write_text(kubeconfig(f"https://127.0.0.1:{port}", {}, **{"certificate-authority": str(ca)}))
        opening = Transport.open(ConnectionOptions(credentials=Credentials(config)))
        opened = await opening.__aenter__()
        client = Writer(Reader(opened), field_manager="tests", gate=AlwaysOpen())
        assert await client.get_path("/version")
    try:
        async with serving(new, port):
            with pytest.raises(Unreachable):
                await client.get_path("/version")
            ca.write_bytes(new.ca_cert.read_bytes())

            async def served() -> bool:
                try:
                    return bool(await client.get_path("/version"))
                except Unreachable:
                    return False

            await eventually(served)
    finally:
        await opening.__aexit__(None, None, None)


class TestFilesOfAnotherShape:
    """The file is somebody's own: it is refused by name, and no value of it stands in the words."""

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("users: [{name: a, user: {token: *hush-hush}}]", "line 1, column 33 is not valid YAML"),
            ("a: !hush-hush b", "line 1, column 4 is not valid YAML"),
            ("", "not what a kubeconfig holds"),
            ("[" * 5000, "no usable credentials"),
            ("a" * 600_000, "has more than 512 KiB"),
            (kubeconfig("https://scripted.invalid", {"token": "hush-hush\r\nX: y"}), "an HTTP header cannot hold"),
            (kubeconfig("https://scripted.invalid", {"token": "hush-hush\u0000"}), "no usable credentials"),
            (
                kubeconfig(
                    "https://scripted.invalid", {"client-certificate-data": "aHVzaA==", "client-key-data": "eA=="}
                ),
                "are unusable",
            ),
            (
                kubeconfig("https://scripted.invalid", {}, **{"certificate-authority-data": "aHVzaC1odXNo"}),
                "are unusable",
            ),
            ("{users: [{name: null, user: {token: hush}}], contexts: [], clusters: []}", "Invalid kube-config"),
            (
                "{current-context: [hush], contexts: [{name: [hush], context: {cluster: c}}], clusters: [], users: []}",
                "Invalid kube-config",
            ),
        ],
        ids=[
            *("alias", "tag", "empty", "deep", "large", "header", "nul", "certificate", "ca"),
            *("an entry without a name", "a name that is a list"),
        ],
    )
    async def test_a_kubeconfig_of_another_shape_is_refused_by_name(self, tmp_path: Path, text: str, why: str):
        config = tmp_path / "kubeconfig"
        config.write_text(text)
        with pytest.raises(NoCredentials, match=why) as caught:
            async with Transport.open(ConnectionOptions(credentials=Credentials(config))):
                pass
        assert "hush" not in "".join(traceback.format_exception_only(caught.value))

    async def test_a_tokens_file_may_end_with_a_newline(self, tmp_path: Path):
        (tmp_path / "token").write_text("one\n")
        config = tmp_path / "kubeconfig"
        config.write_text(kubeconfig("https://scripted.invalid", {"tokenFile": "token"}))
        assert (await load(CredentialLoader(Credentials(config)))).api_key["BearerToken"] == "Bearer one"

    async def test_a_certificate_that_becomes_none_leaves_the_old_one_in_use_until_it_is_good_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(transport, "_REFRESH_SECONDS", 0.05)
        good, ca = Pki.create(tmp_path / "pki", ["127.0.0.1"]), tmp_path / "ca.crt"
        ca.write_bytes(good.ca_cert.read_bytes())
        config = tmp_path / "kubeconfig"
        async with serving(good, 0) as port:
            config.write_text(kubeconfig(f"https://127.0.0.1:{port}", {}, **{"certificate-authority": str(ca)}))
            with structlog.testing.capture_logs() as logs:
                async with Transport.open(ConnectionOptions(credentials=Credentials(config))) as opened:
                    client = Writer(Reader(opened), field_manager="tests", gate=AlwaysOpen())
                    ca.write_bytes(good.ca_cert.read_bytes()[:300])
                    await eventually(lambda: any("unusable" in str(line.get("error")) for line in logs))
                    assert await client.get_path("/version")
                    ca.write_bytes(good.ca_cert.read_bytes() * 2)
                    await eventually(lambda: any(line["event"].startswith("certificates were") for line in logs))
                    assert await client.get_path("/version")
