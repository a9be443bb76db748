"""Kubeconfigs as kubectl reads them: several files, what their paths are relative to, plugins, a change meanwhile."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import structlog

from support.kube.objects import WIDGET, key, widget
from testbed import eventually
from wasmcloud_operator.base.testing import VirtualClock
from wasmcloud_operator.kube import transport
from wasmcloud_operator.kube.client import Reader
from wasmcloud_operator.kube.credentials import LIBRARY, CredentialLoader, Credentials, cluster_name
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


def cluster(name: str, **more: str) -> dict[str, dict]:
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
