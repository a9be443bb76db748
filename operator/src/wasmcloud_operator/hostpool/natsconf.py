"""The text of nats.conf for the leaf node beside each host. Every value in it is quoted; nothing is pasted in."""

from __future__ import annotations

from wasmcloud_operator.hostpool.nats_addresses import hub_addresses, leaf_urls
from wasmcloud_operator_types import WasmCloudHostConfigSpec

CLIENT_PORT = 4222
MONITOR_PORT = 8222
CREDENTIALS_FILE = "/nats/creds/nats.creds"
TLS_FOLDER = "/nats/tls"
STORE_FOLDER = "/data"

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


def nats_conf(spec: WasmCloudHostConfigSpec, *, credentials: bool, tls_ca: bool, tls_client: bool) -> str:
    """The configuration. The flags say which files there are: hub credentials, a CA, a client certificate.

    Raises SpecError for an address that cannot be used.
    """
    on_pod = spec.leaf_service is None or spec.leaf_service.enabled is not False
    lines = [
        f"listen: {quoted(f'{_EVERYWHERE if on_pod else _LOOPBACK}:{CLIENT_PORT}')}",
        f"http: {quoted(f'{_EVERYWHERE}:{MONITOR_PORT}')}",
        "jetstream {",
        f"  domain: {quoted(spec.leaf_node_domain or 'leaf')}",
        f"  store_dir: {quoted(STORE_FOLDER)}",
        "}",
        "leafnodes {",
        "  remotes: [",
        "    {",
        f"      urls: [{', '.join(quoted(url) for url in leaf_urls(spec))}]",
    ]
    if credentials:
        lines.append(f"      credentials: {quoted(CREDENTIALS_FILE)}")
    if tls_ca or tls_client or any(address.scheme in ("tls", "wss") for address in hub_addresses(spec)):
        lines += _tls(tls_ca, tls_client)
    lines += ["    }", "  ]", "}"]
    return "\n".join(lines) + "\n"


def _tls(ca: bool, client: bool) -> list[str]:
    """The block is what makes the leaf insist on TLS; the scheme alone would let the hub decide."""
    lines = ["      tls {"]
    if ca:
        lines.append(f"        ca_file: {quoted(f'{TLS_FOLDER}/ca.crt')}")
    if client:
        lines.append(f"        cert_file: {quoted(f'{TLS_FOLDER}/tls.crt')}")
        lines.append(f"        key_file: {quoted(f'{TLS_FOLDER}/tls.key')}")
    return [*lines, "      }"]
