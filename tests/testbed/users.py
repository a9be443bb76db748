"""Who may log in at the testbed's API server: static tokens, all known when it starts (it reads the file once)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class User:
    """A user by token. Without a role binding it may only discover what the server offers."""

    name: str
    token: str
    groups: tuple[str, ...] = ()

    @classmethod
    def named(cls, name: str, *groups: str) -> User:
        """The token is made of the name, so that it is the same in every run."""
        return cls(name, f"token-of-{name.replace(':', '-')}", groups)


ADMIN = User.named("admin", "system:masters")
CONTROLLER_MANAGER = User.named("system:kube-controller-manager")
SCHEDULER = User.named("system:kube-scheduler")
KWOK = User.named("kwok", "system:masters")
# for tests that bind roles: nobody has given them any right
PLAIN_USERS = tuple(User.named(name) for name in ("alice", "bob", "carol", "dave", "erin"))


def write_token_file(path: Path, users: list[User]) -> None:
    """The CSV that `--token-auth-file` takes: token, user, uid, "group,group"."""
    path.touch(mode=0o600)
    path.write_text("".join(f'{user.token},{user.name},{user.name},"{",".join(user.groups)}"\n' for user in users))


def write_kubeconfig(path: Path, *, url: str, ca_file: Path, user: str, token: str, namespace: str = "default") -> Path:
    """A kubeconfig (JSON, which is YAML) of one context, readable by its owner alone."""
    context = {"cluster": "testbed", "user": user, "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "testbed", "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": "testbed", "context": context}],
        "current-context": "testbed",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=2))
    return path
