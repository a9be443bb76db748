"""A real Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from testbed import users
from testbed.admin import Admin
from testbed.audit import POLICY, AuditLog
from testbed.cache import ensure
from testbed.pki import Pki
from testbed.process import Server, http_ok, start_on_free_ports
from testbed.users import User, write_kubeconfig

_SERVICE_CIDR = "10.96.0.0/16"
_ISSUER = "https://kubernetes.default.svc.cluster.local"
_OWN_NAMES = ["127.0.0.1", "localhost", "10.96.0.1", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane; `start` makes one. The four servers can be killed, paused and restarted."""

    folder: Path
    url: str
    ca_file: Path
    kubeconfig: Path  # of the admin
    users: tuple[User, ...]
    etcd: Server
    apiserver: Server
    controller_manager: Server
    scheduler: Server
    audit: AuditLog | None

    @property
    def admin_token(self) -> str:
        return users.ADMIN.token

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls,
        folder: Path,
        *,
        audit: bool = False,
        extra_users: Sequence[User] = (),
        bind: str = "127.0.0.1",
        apiserver_args: Sequence[str] = (),
    ) -> AsyncIterator[Self]:
        """A control plane with its data under `folder`, ready to serve in about four seconds; stopped at the end.

        `audit=True` writes every request to a log (see `audit`). `bind` is the address that the API server listens on
        and is reached at. The users `users.PLAIN_USERS` exist besides the admin; `extra_users` join them.
        """
        known = (users.ADMIN, users.CONTROLLER_MANAGER, users.SCHEDULER, users.KWOK, *users.PLAIN_USERS, *extra_users)
        pki = Pki.create(folder / "pki", [*dict.fromkeys([*_OWN_NAMES, bind])])
        users.write_token_file(folder / "tokens.csv", list(known))
        programs = [await ensure(name) for name in PROGRAMS]
        async with contextlib.AsyncExitStack() as stack:
            etcd = await start_on_free_ports(lambda ports: _etcd(programs[0], folder, ports), 2)
            stack.push_async_callback(etcd.stop)
            etcd_url = f"http://127.0.0.1:{etcd.ports[0]}"
            api_args = [*_audit_args(folder), *apiserver_args] if audit else list(apiserver_args)
            apiserver = await start_on_free_ports(
                lambda ports: _apiserver(programs[1], folder, pki, etcd_url, bind, ports[0], api_args), 1, host=bind
            )
            stack.push_async_callback(apiserver.stop)
            url = f"https://{bind}:{apiserver.ports[0]}"

            def config_of(user: User) -> Path:
                path = folder / f"{user.name.replace(':', '-')}.kubeconfig"
                return write_kubeconfig(path, url=url, ca_file=pki.ca_cert, user=user.name, token=user.token)

            async def start_controller(program: Path, user: User, *args: str) -> Server:
                server = await start_on_free_ports(
                    lambda ports: _controller(program, folder, config_of(user), ports[0], args), 1
                )
                stack.push_async_callback(server.stop)
                return server

            async with asyncio.TaskGroup() as group:
                manager_args = _manager_args(pki)
                manager = group.create_task(start_controller(programs[2], users.CONTROLLER_MANAGER, *manager_args))
                scheduler = group.create_task(start_controller(programs[3], users.SCHEDULER))
            yield cls(
                folder=folder,
                url=url,
                ca_file=pki.ca_cert,
                kubeconfig=config_of(users.ADMIN),
                users=known,
                etcd=etcd,
                apiserver=apiserver,
                controller_manager=manager.result(),
                scheduler=scheduler.result(),
                audit=AuditLog(folder / "audit.log") if audit else None,
            )

    @property
    def servers(self) -> tuple[Server, ...]:
        return self.etcd, self.apiserver, self.controller_manager, self.scheduler

    def user(self, name: str) -> User:
        """One of the static users. Raises KeyError."""
        return {user.name: user for user in self.users}[name]

    def admin(self) -> Admin:
        """A client with every right; see `admin`."""
        return Admin(self.url, self.admin_token, self.ca_file)

    def client_of(self, who: User | str) -> Admin:
        """The same client as a static user, or with any bearer token."""
        return Admin(self.url, who.token if isinstance(who, User) else who, self.ca_file)

    def kubeconfig_for(self, who: User | str, *, namespace: str = "default") -> Path:
        """A kubeconfig file of a static user, or of any bearer token (a service account's, say)."""
        user = who if isinstance(who, User) else User(f"token-{abs(hash(who)):x}", who)
        path = self.folder / f"{user.name.replace(':', '-')}.{namespace}.kubeconfig"
        return write_kubeconfig(
            path, url=self.url, ca_file=self.ca_file, user=user.name, token=user.token, namespace=namespace
        )


_ENV = {"GOGC": "400"}  # a little memory for a tenth of the processor's time
# TESTBED_API_SERVER is the minor version of another API server (`1.29`), one of the group `matrix`
APISERVER = "-".join(filter(None, ("kube-apiserver", os.environ.get("TESTBED_API_SERVER"))))
PROGRAMS = ("etcd", APISERVER, "kube-controller-manager", "kube-scheduler")


def _etcd(program: Path, folder: Path, ports: list[int]) -> Server:
    client, peer = (f"http://127.0.0.1:{port}" for port in ports)
    argv: list[str | Path] = [program, "--name", "testbed", "--data-dir", folder / "etcd", "--unsafe-no-fsync"]
    argv += ["--listen-client-urls", client, "--advertise-client-urls", client]
    argv += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"testbed={peer}"]
    argv += ["--log-level", "warn"]
    log = folder / "logs" / "etcd.log"
    return Server("etcd", argv, log=log, env=_ENV, ready=lambda: http_ok(f"{client}/health"))


def _apiserver(
    program: Path, folder: Path, pki: Pki, etcd_url: str, bind: str, port: int, extra: Sequence[str]
) -> Server:
    argv: list[str | Path] = [program, "--secure-port", str(port), "--bind-address", bind]
    argv += ["--advertise-address", "127.0.0.1" if bind == "0.0.0.0" else bind, "--endpoint-reconciler-type", "none"]
    argv += ["--etcd-servers", etcd_url, "--service-cluster-ip-range", _SERVICE_CIDR, "--allow-privileged=true"]
    argv += ["--tls-cert-file", pki.serving_cert, "--tls-private-key-file", pki.serving_key]
    argv += ["--client-ca-file", pki.ca_cert]
    argv += ["--token-auth-file", folder / "tokens.csv", "--authorization-mode", "Node,RBAC", "--profiling=false"]
    argv += ["--service-account-issuer", _ISSUER, "--service-account-key-file", pki.service_account_key]
    argv += ["--service-account-signing-key-file", pki.service_account_key, *extra]
    url = f"https://{bind}:{port}/readyz"
    return Server(
        "kube-apiserver",
        argv,
        log=folder / "logs" / "kube-apiserver.log",
        env=_ENV,
        stop_grace=1.5,  # it would wait ten seconds for its watchers to go
        ready=lambda: http_ok(url, token=users.ADMIN.token, ca_file=pki.ca_cert),
    )


def _controller(program: Path, folder: Path, kubeconfig: Path, port: int, extra: Sequence[str]) -> Server:
    # the default of 20 requests a second would be what a test of a hundred workloads measures
    argv: list[str | Path] = [program, "--kubeconfig", kubeconfig, "--kube-api-qps", "300", "--kube-api-burst", "600"]
    argv += ["--leader-elect=false", "--bind-address", "127.0.0.1", "--secure-port", str(port), "--profiling=false"]
    return Server(
        program.name,
        [*argv, *extra],
        log=folder / "logs" / f"{program.name}.log",
        env=_ENV,
        ready=lambda: http_ok(f"https://127.0.0.1:{port}/healthz"),
    )


def _manager_args(pki: Pki) -> list[str]:
    return [
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki.service_account_key}",
        f"--root-ca-file={pki.ca_cert}",
        f"--cluster-signing-cert-file={pki.ca_cert}",
        f"--cluster-signing-key-file={pki.ca_key}",
        f"--service-cluster-ip-range={_SERVICE_CIDR}",
    ]


def _audit_args(folder: Path) -> list[str]:
    policy = folder / "audit-policy.json"
    policy.write_text(json.dumps(POLICY))
    log = str(folder / "audit.log")
    # Never begun anew: positions in it are kept.
    return ["--audit-policy-file", str(policy), "--audit-log-path", log, "--audit-log-maxsize", "100000"]
