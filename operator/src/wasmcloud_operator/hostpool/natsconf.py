"""The text of nats.conf for the leaf node beside each host. Every value in it is quoted; nothing is pasted in."""

from __future__ import annotations

from dataclasses import dataclass

from wasmcloud_operator.base.jsontypes import as_objects
from wasmcloud_operator.hostpool.nats_addresses import hub_addresses, leaf_urls
from wasmcloud_operator_types import WasmCloudHostConfigSpec, defaults

CLIENT_PORT = 4222
MONITOR_PORT = 8222
CREDENTIALS_FILE = "/nats/creds/nats.creds"
TLS_FOLDER = "/nats/tls"
STORE_FOLDER = "/data"
STORE_VOLUME = "nats-data"
# In bytes. JetStream of its own takes three quarters of the node's disk and memory.
_MAX_FILE_STORE = 1 << 30
_MAX_MEMORY_STORE = 256 << 20

# The largest message in bytes: NATS's default, and what a server takes at most beside its default of max_pending.
DEFAULT_PAYLOAD = 1 << 20
_LARGEST_PAYLOAD = 64 << 20

# The Service and the kubelet's probes come from outside the pod; nats-server takes this for IPv6 addresses too.
_EVERYWHERE = "0.0.0.0"  # noqa: S104
_LOOPBACK = "127.0.0.1"


def quoted(value: str) -> str:
    """The value as a string of NATS's configuration language.

    Its lexer knows backslash escapes and \\xHH in double quotes; a `$` starts a variable only outside of them.
    """
    escaped = []
    for character in value:
        if character in '"\\':
            escaped.append("\\" + character)
        elif " " <= character < "\x7f":
            escaped.append(character)
        else:
            escaped.extend(f"\\x{byte:02X}" for byte in character.encode())
    return f'"{"".join(escaped)}"'


@dataclass(frozen=True, slots=True)
class LeafFiles:
    """The files of the hub connection that there are: credentials, a CA, a client certificate."""

    credentials: bool = False
    ca: bool = False
    client_certificate: bool = False


def nats_conf(
    spec: WasmCloudHostConfigSpec, files: LeafFiles, *, on_pod: bool, max_payload: int = DEFAULT_PAYLOAD
) -> str:
    """The configuration. `on_pod`: whether the leaf listens on the pod's address, not only on its loopback.
    `max_payload`: the hub's. A leaf that takes less refuses what the hub takes, and one that takes more is cut off.

    Raises SpecError for an address that cannot be used.
    """
    lines = [
        f"listen: {quoted(f'{_EVERYWHERE if on_pod else _LOOPBACK}:{CLIENT_PORT}')}",
        f"http: {quoted(f'{_EVERYWHERE}:{MONITOR_PORT}')}",
        *([] if max_payload == DEFAULT_PAYLOAD else [f"max_payload: {min(max_payload, _LARGEST_PAYLOAD)}"]),
        "jetstream {",
        f"  domain: {quoted(spec.leaf_node_domain or defaults.LEAF_NODE_DOMAIN)}",
        f"  store_dir: {quoted(STORE_FOLDER)}",
        *([] if _has_own_store(spec) else [f"  max_file_store: {_MAX_FILE_STORE}"]),
        f"  max_memory_store: {_MAX_MEMORY_STORE}",
        "}",
        "leafnodes {",
        "  remotes: [",
        "    {",
        f"      urls: [{', '.join(quoted(url) for url in leaf_urls(spec))}]",
    ]
    if files.credentials:
        lines.append(f"      credentials: {quoted(CREDENTIALS_FILE)}")
    if wants_tls(spec):
        lines += _tls(files)
    lines += ["    }", "  ]", "}"]
    return "\n".join(lines) + "\n"


def wants_tls(spec: WasmCloudHostConfigSpec) -> bool:
    """Whether the hub is reached over TLS only: to a hub without TLS nothing is sent."""
    return spec.nats_tls is not None or any(address.scheme in ("tls", "wss") for address in hub_addresses(spec))


def _tls(files: LeafFiles) -> list[str]:
    """The block is what makes the leaf insist on TLS; the scheme alone would let the hub decide."""
    lines = ["      tls {"]
    if files.ca:
        lines.append(f"        ca_file: {quoted(f'{TLS_FOLDER}/ca.crt')}")
    if files.client_certificate:
        lines.append(f"        cert_file: {quoted(f'{TLS_FOLDER}/tls.crt')}")
        lines.append(f"        key_file: {quoted(f'{TLS_FOLDER}/tls.key')}")
    return [*lines, "      }"]


def _has_own_store(spec: WasmCloudHostConfigSpec) -> bool:
    """Whether the user has a volume in place of ours, whose size is known to nobody here."""
    additions = (spec.scheduling_options.pod_template_additions if spec.scheduling_options else None) or {}
    return any(volume.get("name") == STORE_VOLUME for volume in as_objects(additions.get("volumes")))
