"""Credentials from a plugin that a kubeconfig names (client.authentication.k8s.io): EKS, GKE, AKS and others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import msgspec

from wasmcloud_operator.base.clock import Clock
from wasmcloud_operator.base.jsontypes import JsonObject
from wasmcloud_operator.kube.errors import KubeError, NoCredentials, Unreachable

# A plugin may ask a cloud for a token, over a network that hangs.
_DEADLINE_SECONDS = 30.0
# Credentials are looked at every minute: those that would expire before the look after the next are renewed now.
_MARGIN = timedelta(seconds=90)
# A server that refuses every credential must not have the plugin run for each request.
_BETWEEN_RUNS_SECONDS = 10.0
_MOST_OUTPUT = 1024 * 1024
_SHOWN = 300
_STDOUT, _STDERR = 1, 2


class _EnvVar(msgspec.Struct, frozen=True):
    name: str
    value: str


class PluginSpec(msgspec.Struct, frozen=True, rename="camel"):
    """The `exec` part of a kubeconfig's user."""

    command: str
    api_version: str
    args: list[str] | None = None
    env: list[_EnvVar] | None = None
    install_hint: str | None = None
    provide_cluster_info: bool = False
    cluster: JsonObject | None = None
    """What the plugin receives about the cluster where it asks for that; not a field of the kubeconfig."""


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None
    expiration_timestamp: datetime | None = None


class _Answer(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    status: _Status


@dataclass(frozen=True, slots=True)
class ExecCredential:
    """What a plugin gave: a token, a client certificate with its key, or both."""

    token: str
    certificate: str
    key: str
    expires: datetime | None


@dataclass(slots=True)
class ExecPlugin:
    """Runs the plugin when its credential is about to expire, or was rejected; else returns the last one."""

    clock: Clock
    _spec: PluginSpec | None = None
    # What the last run brought.
    _outcome: ExecCredential | KubeError | None = None
    _ran: float = 0.0

    async def credential(self, spec: PluginSpec, folder: Path, *, rejected: bool) -> ExecCredential:
        """Returns a credential that holds for a while. `folder` is the kubeconfig's: a relative command is in it.

        Raises NoCredentials if there is no such command, Unreachable if it fails.
        """
        held = self._outcome if self._spec == spec else None
        early = self.clock.monotonic() - self._ran <= _BETWEEN_RUNS_SECONDS
        if isinstance(held, ExecCredential) and (early or (not rejected and self._holds(held))):
            return held
        if isinstance(held, KubeError) and early:
            raise held
        self._spec, self._ran = spec, self.clock.monotonic()
        try:
            self._outcome = fresh = parse(spec, await run(spec, folder))
        except KubeError as error:
            if not isinstance(held, ExecCredential):
                self._outcome = error
            raise
        return fresh

    def _holds(self, credential: ExecCredential) -> bool:
        return credential.expires is None or self.clock.now() + _MARGIN < credential.expires


class _Run(asyncio.SubprocessProtocol):
    """Keeps what a plugin prints, within bounds, until it has exited; kills what it leaves behind.

    A child of the plugin may hold the output open for as long as it lives.
    """

    def __init__(self) -> None:
        self.output, self.words = bytearray(), b""
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self.words = (self.words + data)[-_SHOWN:]
        elif not self.too_long:
            self.output += data
        if self.too_long:
            self.kill()

    def process_exited(self) -> None:
        self.kill()

    def connection_lost(self, _: Exception | None) -> None:  # it has exited, and its pipes are closed
        self.ended.set()

    @property
    def too_long(self) -> bool:
        """Whether the plugin printed more than any credential has."""
        return len(self.output) > _MOST_OUTPUT

    def kill(self) -> None:
        """Kill the plugin and whatever it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.transport.get_pid(), signal.SIGKILL)

    async def close(self) -> None:
        """Have nothing of the run be left, but for a child that has left the plugin's process group."""
        if not self.ended.is_set():  # else the process's id may be another's by now
            self.kill()
            for fd in (_STDOUT, _STDERR):
                cast("asyncio.ReadTransport", self.transport.get_pipe_transport(fd)).close()
            await self.ended.wait()
        self.transport.close()


async def run(spec: PluginSpec, folder: Path) -> bytes:
    """Returns the plugin's output. The plugin is killed when it takes too long, or when the caller is cancelled."""
    command = str(folder / spec.command) if os.sep in spec.command else spec.command
    request = {"interactive": False} if spec.cluster is None else {"cluster": spec.cluster, "interactive": False}
    info = json.dumps({"apiVersion": spec.api_version, "kind": "ExecCredential", "spec": request}, default=str)
    env = {**os.environ, **{var.name: var.value for var in spec.env or ()}, "KUBERNETES_EXEC_INFO": info}
    try:
        transport, process = await asyncio.get_running_loop().subprocess_exec(
            _Run, command, *(spec.args or ()), env=env, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        advice = "; ".join(filter(None, (error.strerror, " ".join((spec.install_hint or "").split()))))
        raise NoCredentials(f"the credential plugin {spec.command} cannot be run: {advice}") from error
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await process.ended.wait()
    except TimeoutError as error:
        what = f"credential plugin {spec.command} returned nothing for {_DEADLINE_SECONDS:.0f} s"
        raise Unreachable(f"{what}; where it waits for somebody to log in, run kubectl once") from error
    finally:
        await process.close()
    if process.too_long:
        raise Unreachable(f"the credential plugin {spec.command} printed more than {_MOST_OUTPUT >> 20} MiB")
    if code := transport.get_returncode():
        words = process.words.decode(errors="replace").strip()
        raise Unreachable(f"the credential plugin {spec.command} failed with {code}: {words}")
    return bytes(process.output)


def parse(spec: PluginSpec, output: bytes) -> ExecCredential:
    """Returns the credential in a plugin's output. Raises Unreachable, without quoting it, if there is none."""
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except (ValueError, RecursionError):
        raise Unreachable(f"the credential plugin {spec.command} printed no ExecCredential") from None
    status = answer.status
    if answer.api_version != spec.api_version:
        raise Unreachable(f"the credential plugin {spec.command} speaks {answer.api_version}, not {spec.api_version}")
    certificate, key = status.client_certificate_data or "", status.client_key_data or ""
    if bool(certificate) != bool(key) or not (certificate or status.token):
        raise Unreachable(f"credential plugin {spec.command} returned neither a token nor a certificate with its key")
    expires = status.expiration_timestamp
    if expires is not None and expires.tzinfo is None:
        expires = expires.replace(tzinfo=UTC)
    return ExecCredential(status.token or "", certificate, key, expires)
