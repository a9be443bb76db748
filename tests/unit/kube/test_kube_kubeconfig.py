"""Kubeconfigs as kubectl reads them: several files, what their paths are relative to, plugins, a change meanwhile."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
import structlog

from support.kube.objects import WIDGET, key, widget
from testbed import eventually
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube import service_account, transport
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.credentials import LIBRARY, CredentialLoader, Credentials, cluster_name, default_namespace
from wasmcloud_operator.kube.errors import NoCredentials
from wasmcloud_operator.kube.testing import ScriptedApi, ScriptedApiServer
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport

EXEC = "client.authentication.k8s.io/v1"


def written(path: Path, *, current: str | None = None, **parts: dict[str, dict]) -> Path:
    """A kubeconfig of these clusters, users and contexts by their names."""
    path.parent.mkdir(exist_ok=True)
    entries = {
        f"{kind}s": [{"name": name, kind: body} for name, body in named.items()] for kind, named in parts.items()
    }
    chosen = {} if current is None else {"current-context": current}
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **chosen, **entries}))
    return path


def cluster(name: str, **more: object) -> dict[str, dict]:
    return {name: {"server": f"https://{name}.invalid", **more}}


def context(name: str) -> dict[str, dict]:
    return {name: {"cluster": name, "user": name}}


async def load(loader: CredentialLoader):
    configuration = LIBRARY.configuration()
    await loader.load(configuration)
    return configuration


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch):
    """Has `$KUBECONFIG` name these files."""

    def name(*paths: Path) -> CredentialLoader:
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(map(str, paths)))
        return CredentialLoader(Credentials())

    return name


@pytest.mark.parametrize("second", ["two", "", None])
async def test_of_several_files_the_first_says_which_context_is_current(tmp_path: Path, named, second: str | None):
    parts = [{"cluster": cluster(name), "user": {name: {}}, "context": context(name)} for name in ("one", "two")]
    loader = named(
        written(tmp_path / "a", current="one", **parts[0]), written(tmp_path / "b", current=second, **parts[1])
    )
    assert (await load(loader)).host == "https://one.invalid"
    assert cluster_name(Credentials()) == "one"


async def test_a_file_that_names_no_current_context_leaves_that_to_the_next(tmp_path: Path, named):
    parts = [{"cluster": cluster(name), "user": {name: {}}, "context": context(name)} for name in ("one", "two")]
    loader = named(written(tmp_path / "a", current="", **parts[0]), written(tmp_path / "b", current="two", **parts[1]))
    assert (await load(loader)).host == "https://two.invalid"


async def test_paths_are_relative_to_the_file_in_which_they_stand(tmp_path: Path, named):
    for folder, file in (("a", "ca.crt"), ("b", "client.crt"), ("b", "client.key")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / file).write_text(file)
    user = {"c": {"client-certificate": "client.crt", "client-key": "client.key"}}
    loader = named(
        written(tmp_path / "a/config", cluster=cluster("c", **{"certificate-authority": "ca.crt"})),
        written(tmp_path / "b/config", current="c", user=user, context=context("c")),
    )
    configuration = await load(loader)
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    assert [str(Path(file).relative_to(tmp_path)) for file in files] == ["a/ca.crt", "b/client.crt", "b/client.key"]


async def test_a_token_in_a_file_counts_before_one_that_stands_beside_it(tmp_path: Path):
    (tmp_path / "token").write_text("renewed")
    user = {"c": {"token": "of the first hour", "tokenFile": "token"}}
    config = written(tmp_path / "config", current="c", cluster=cluster("c"), user=user, context=context("c"))
    assert (await load(CredentialLoader(Credentials(config)))).api_key == {"BearerToken": "Bearer renewed"}


@pytest.mark.parametrize("command", ["./plugin", "bin/../plugin"])
async def test_a_plugins_command_is_relative_to_a_file_that_is_named_without_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
):
    (tmp_path / "bin").mkdir()
    (tmp_path / "answer").write_text(gives(token="one"))
    (tmp_path / "plugin").write_text(f"#!/bin/sh\ncat {tmp_path}/answer\n")
    (tmp_path / "plugin").chmod(0o755)
    user = {"c": {"exec": {"apiVersion": EXEC, "command": command}}}
    written(tmp_path / "config", current="c", cluster=cluster("c"), user=user, context=context("c"))
    monkeypatch.chdir(tmp_path)
    assert (await load(CredentialLoader(Credentials(Path("config"))))).api_key == {"BearerToken": "Bearer one"}


ROLE = {"as": "team", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": {"scopes/x": ["1", "2"]}}
ROLE_HEADERS = [
    ("Impersonate-User", "team"),
    ("Impersonate-Uid", "7"),
    ("Impersonate-Group", "a"),
    ("Impersonate-Group", "b"),
    ("Impersonate-Extra-scopes%2Fx", "1"),
    ("Impersonate-Extra-scopes%2Fx", "2"),
]


@pytest.mark.parametrize(
    ("user", "headers"), [(ROLE, ROLE_HEADERS), ({"as": "team"}, ROLE_HEADERS[:1]), ({"as": ""}, []), ({}, [])]
)
async def test_a_user_acts_for_whom_the_kubeconfig_names(tmp_path: Path, user: dict, headers: list):
    config = written(tmp_path / "config", current="c", cluster=cluster("c"), user={"c": user}, context=context("c"))
    loader = CredentialLoader(Credentials(config))
    await load(loader)
    assert list(loader.headers) == headers


@pytest.mark.parametrize("user", [{"as": 5}, {"as-groups": "a"}, {"as": "a", "as-user-extra": {"b": "c"}}])
async def test_whom_to_act_for_in_another_form_is_refused_and_not_left_out(tmp_path: Path, user: dict):
    config = written(tmp_path / "config", current="c", cluster=cluster("c"), user={"c": user}, context=context("c"))
    with pytest.raises(NoCredentials, match="no usable credentials"):
        await load(CredentialLoader(Credentials(config)))


async def test_every_request_acts_for_the_one_who_is_named_also_after_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transport, "_REFRESH_SECONDS", 0.05)
    api = ScriptedApi()
    api.put(WIDGET, widget("w"))
    async with ScriptedApiServer.serve(api) as server:

        def named(name: str) -> Path:
            here = {"c": {"server": server.url}}
            user = {"c": {"token": "t", "as": name, "as-groups": ["g"]}}
            return written(tmp_path / "config", current="c", cluster=here, user=user, context=context("c"))

        async with Transport.open(ConnectionOptions(credentials=Credentials(named("one")))) as opened:
            client = Reader(opened)

            async def seen() -> tuple[str | None, str | None]:
                await client.find(WIDGET, key("w"))
                headers = api.requests[-1].headers
                return headers.get("Impersonate-User"), headers.get("Impersonate-Group")

            assert await seen() == ("one", "g")
            named("two")

            async def changed() -> bool:
                return await seen() == ("two", "g")

            await eventually(changed)


async def test_a_context_without_a_user_is_nobodys_and_one_whose_user_is_missing_is_named(tmp_path: Path):
    contexts = {"c": {"cluster": "c"}, "gone": {"cluster": "c", "user": "gone"}}
    for users in ({}, {"other": {"token": "t"}}):
        config = written(tmp_path / "config", current="c", cluster=cluster("c"), user=users, context=contexts)
        configuration = await load(CredentialLoader(Credentials(config)))
        assert (configuration.host, configuration.api_key) == ("https://c.invalid", {})
        with pytest.raises(NoCredentials, match="has no user gone, which the context names"):
            await load(CredentialLoader(Credentials(config, "gone")))


@pytest.mark.parametrize(("named", "host"), [("other", "https://other.invalid"), ("", "https://c.invalid")])
async def test_a_context_that_is_named_counts_and_an_empty_one_is_none(tmp_path: Path, named: str, host: str):
    clusters, contexts = cluster("c") | cluster("other"), context("c") | context("other")
    config = written(tmp_path / "config", current="c", cluster=clusters, user={"c": {}, "other": {}}, context=contexts)
    assert (await load(CredentialLoader(Credentials(config, named)))).host == host


def test_in_a_pod_a_named_context_is_one_of_the_users_kubeconfig(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert [Credentials(context=name).source() for name in (None, "")] == ["", ""]
    assert Credentials(context="staging").source() == "/home/somebody/.kube/config"


def test_in_a_pod_the_namespace_is_the_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setattr(service_account, "NAMESPACE_FILE", tmp_path / "namespace")
    assert default_namespace(Credentials()) == "default"
    (tmp_path / "namespace").write_text("ci\n")
    assert default_namespace(Credentials()) == "ci"
    config = written(tmp_path / "config", current="c", cluster=cluster("c"), user={"c": {}}, context=context("c"))
    assert default_namespace(Credentials(config)) == "default"


class TestPlugins:
    @pytest.fixture
    def output(self, tmp_path: Path) -> Path:
        return tmp_path / "output"

    @pytest.fixture
    def clock(self) -> VirtualClock:
        return VirtualClock()

    @pytest.fixture
    def loader(self, tmp_path: Path, output: Path, clock: VirtualClock) -> CredentialLoader:
        plugin = {"exec": {"apiVersion": EXEC, "command": "cat", "args": [str(output)]}}
        config = written(
            tmp_path / "config", current="c", cluster=cluster("c"), user={"c": plugin}, context=context("c")
        )
        return CredentialLoader(Credentials(config), clock)

    @pytest.mark.parametrize("expires", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-01-01T00:00:01Z"])
    async def test_a_credential_of_any_expiry_is_used_and_renewed(self, output, clock, loader, expires: str):
        for token in ("one", "two"):
            output.write_text(gives(token=token, expirationTimestamp=expires))
            assert (await load(loader)).api_key["BearerToken"].startswith("Bearer ")
            await clock.advance(60)
        renewed = (await load(loader)).api_key["BearerToken"] == "Bearer two"
        assert renewed is not expires.startswith("9999")

    @pytest.mark.parametrize("asked", [True, False])
    async def test_a_plugin_is_told_of_the_cluster_where_it_asks(self, tmp_path: Path, asked: bool):
        (tmp_path / "ca.crt").write_text("a CA")
        told = {"name": "client.authentication.k8s.io/exec", "extension": {"project": "x"}}
        body = {"certificate-authority": "ca.crt", "tls-server-name": "n", "extensions": [{"name": "other"}, told]}
        (tmp_path / "answer").write_text(gives(token="one"))
        script = f'printf %s "$KUBERNETES_EXEC_INFO" > {tmp_path}/info; cat {tmp_path}/answer'
        plugin = {"apiVersion": EXEC, "command": "sh", "args": ["-c", script], "provideClusterInfo": asked}
        config = written(
            tmp_path / "config",
            current="c",
            cluster=cluster("c", **body),
            user={"c": {"exec": plugin}},
            context=context("c"),
        )
        await load(CredentialLoader(Credentials(config)))
        info = json.loads((tmp_path / "info").read_text())
        expected = {
            "server": "https://c.invalid",
            "tls-server-name": "n",
            "certificate-authority-data": base64.b64encode(b"a CA").decode(),
            "config": {"project": "x"},
        }
        assert info["spec"] == ({"cluster": expected, "interactive": False} if asked else {"interactive": False})

    @pytest.mark.parametrize(
        ("hint", "advice"), [("brew install\n  plugin", "; brew install plugin"), ("", ""), (None, "")]
    )
    async def test_a_plugin_that_is_not_installed_is_named_with_its_hint(self, tmp_path: Path, hint, advice: str):
        user = {"c": {"exec": {"apiVersion": EXEC, "command": "no-such-plugin", "installHint": hint}}}
        config = written(tmp_path / "config", current="c", cluster=cluster("c"), user=user, context=context("c"))
        with pytest.raises(NoCredentials) as refused:
            await load(CredentialLoader(Credentials(config)))
        assert str(refused.value).endswith(f"no-such-plugin cannot be run: No such file or directory{advice}")

    async def test_a_plugin_may_go_from_tokens_to_certificates_and_back(self, output, clock, loader):
        certificate = {"clientCertificateData": "cert", "clientKeyData": "key"}
        for status in ({"token": "one"}, certificate, {"token": "two"}):
            output.write_text(gives(**status, expirationTimestamp="2026-01-01T00:00:01Z"))
            configuration = await load(loader)
            assert configuration.api_key == ({"BearerToken": f"Bearer {status['token']}"} if "token" in status else {})
            assert [bool(configuration.cert_file), bool(configuration.key_file)] == ["token" not in status] * 2
            await clock.advance(60)


def gives(**status: object) -> str:
    return json.dumps({"apiVersion": EXEC, "kind": "ExecCredential", "status": status})


async def test_a_kubeconfig_that_names_another_server_meanwhile_sends_its_credentials_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As `kubectl config use-context` does beside an operator that runs on a workstation."""
    monkeypatch.setattr(transport, "_REFRESH_SECONDS", 0.05)
    api, config = ScriptedApi(), tmp_path / "config"
    api.put(WIDGET, widget("a"))
    async with ScriptedApiServer.serve(api) as server:
        here = {"cluster": {"c": {"server": server.url}}, "context": context("c")}
        written(config, current="c", **here, user={"c": {"token": "here"}})
        with structlog.testing.capture_logs() as logs:
            async with Transport.open(ConnectionOptions(credentials=Credentials(config))) as opened:
                there = {"cluster": cluster("c"), "context": context("c")}
                written(config, current="c", **there, user={"c": {"token": "there"}})
                await eventually(lambda: any("another API server" in str(line.get("error")) for line in logs))
                await Reader(opened).get(WIDGET, key("a"))
    assert {request.headers["Authorization"] for request in api.requests} == {"Bearer here"}
