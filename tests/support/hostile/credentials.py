"""Kubeconfigs and the files that they name, read as the operator reads them when it starts."""

from __future__ import annotations

import asyncio
import base64
import json
import tempfile
from pathlib import Path

from wasmcloud_operator.kube.credentials import Credentials
from wasmcloud_operator.kube.exec_credential import PluginSpec, parse
from wasmcloud_operator.kube.transport import ConnectionOptions, Transport

# A CA whose key nobody has; without any each start would read all of the machine's.
CA = b"""-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIUOI4PHsZONgGvnUPkCDlv44xNGGIwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyNjE3MTQxOFoYDzIxMjYxMTAyMTcx
NDE4WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQRU51yjR+bfDEFZPIu1gVcJ7xCzPbFkV2zPvBjC4nY6FBC1KWO6dOxOKNyiAjT
vIrIw4KQ1yInTJxxx9ajRC6zo1MwUTAdBgNVHQ4EFgQUi8S1uUsPwTYhpVfmfh6C
5Rd1GyYwHwYDVR0jBBgwFoAUi8S1uUsPwTYhpVfmfh6C5Rd1GyYwDwYDVR0TAQH/
BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBWCUS7iCgIittYmV3CmTKf+HWTcBVe
WAxUmcVa5SHjQgIgaOJiW9bjKEdced0cHdqoFouuya7Cvup9h5vj13P54xU=
-----END CERTIFICATE-----
"""
_VERSION = "client.authentication.k8s.io/v1"
_FILE = "content"
_PLUGIN = PluginSpec("plugin", _VERSION)


def kubeconfig(user: dict[str, object], **cluster: object) -> bytes:
    """A kubeconfig with one cluster, user and context."""
    ca = {} if cluster else {"certificate-authority-data": base64.b64encode(CA).decode()}
    given = {"server": "https://127.0.0.1:9", **ca, **cluster}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": given}],
            "users": [{"name": "c", "user": user}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        }
    ).encode()


def exec_credential(token: str) -> bytes:
    """What a credential plugin prints."""
    status = {"token": token, "expirationTimestamp": "2026-01-01T00:00:00Z"}
    return json.dumps({"apiVersion": _VERSION, "kind": "ExecCredential", "status": status}).encode()


def open_with_kubeconfig(data: bytes) -> None:
    """Start as with `--kubeconfig FILE`."""
    with tempfile.TemporaryDirectory() as folder:
        _open(Path(folder), data)


def open_with_token_file(data: bytes) -> None:
    """Start with a kubeconfig whose token is a file with that content."""
    _open_with_file(data, kubeconfig({"tokenFile": _FILE}))


def open_with_certificate_file(data: bytes) -> None:
    """Start with a kubeconfig whose client certificate and key are in a file with that content."""
    _open_with_file(data, kubeconfig({"client-certificate": _FILE, "client-key": _FILE}))


def open_with_ca_file(data: bytes) -> None:
    """Start with a kubeconfig whose CA is a file with that content."""
    _open_with_file(data, kubeconfig({}, **{"certificate-authority": _FILE}))


def read_exec_credential(data: bytes) -> None:
    """Read what a credential plugin has printed."""
    parse(_PLUGIN, data)


def _open_with_file(data: bytes, config: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, _FILE).write_bytes(data)
        _open(Path(folder), config)


def _open(folder: Path, data: bytes) -> None:
    async def opened() -> None:
        async with Transport.open(ConnectionOptions(Credentials(path))):
            pass

    path = folder / "kubeconfig"
    path.write_bytes(data)
    asyncio.run(opened())
