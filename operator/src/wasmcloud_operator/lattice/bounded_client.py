"""A nats-py client that holds a bounded amount of what a server sends, and refuses a server that breaks the rules.

nats-py trusts its server: it buffers as much as a frame announces, follows server lists of any length, sends the
credentials in clear text when the server offers no TLS. Whoever writes a host config chooses the server.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import ParseResult

import aiohttp
from nats.aio.client import Client, Srv
from nats.aio.transport import WebSocketTransport
from nats.errors import ProtocolError
from nats.protocol.parser import _CRLF_, AWAITING_CONTROL_LINE, AWAITING_MSG_PAYLOAD, CRLF_SIZE, INFO_OP, PONG, Parser

from wasmcloud_operator.lattice.connection_types import ServerInfo
from wasmcloud_operator.lattice.diagnosis import UnacceptableServer
from wasmcloud_operator.lattice.pace import Pace
from wasmcloud_operator.lattice.sending import check_before_sending

MESSAGE_LIMIT = 8 * 1024 * 1024  # NATS advises against a larger max_payload; larger messages are skipped
INFO_LIMIT = 1024 * 1024
CONTROL_LINE_LIMIT = 4 * 1024 + 64  # a publisher's line of 4 KiB, and the subscription's number
WEBSOCKET_FRAME_LIMIT = MESSAGE_LIMIT + INFO_LIMIT
_HEADER_LIMIT = 64 * 1024  # on top of the payload, in a server that counts it apart
_PIECE = 4 * 1024  # some milliseconds of work at most
_TEXT_LIMIT = 512
_URLS_LIMIT = 64
_MAX_PAYLOAD_LIMIT = 2**31 - 1


class BoundedClient(Client):
    """One client for one server. With `tls` it sends nothing, credentials least of all, before TLS is up."""

    def __init__(self, pace: Pace, *, tls: bool) -> None:
        super().__init__()
        self.server: ServerInfo | None = None
        self.skipped = 0  # messages larger than MESSAGE_LIMIT
        self._tls = tls
        self._ps = BoundedParser(self, pace)

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:
        """Send a write at once, in the step in which its gate is asked: the flusher may run after the lease is over."""
        may_write = check_before_sending()
        await super()._send_command(cmd, priority)
        if may_write and self.is_connected and self._transport is not None:
            self._transport.writelines(self._pending[:])
            self._pending, self._pending_data_size = [], 0

    async def _process_ping(self) -> None:
        """Answer once for all that arrive at once: each answer is a write, which the server's pace does not count."""
        if PONG not in self._pending:
            await super()._process_ping()

    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport is None and s.uri.scheme in ("ws", "wss"):
            self._transport = BoundedWebSocket()
        await super()._connect_to_server(s)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Check what the server announces before anything is sent; other servers that it lists are not followed."""
        self.server = _server_info(info)
        if not initial_connection:
            return
        limit = info.setdefault("max_payload", self._max_payload)
        if not isinstance(limit, int) or not 0 < limit <= _MAX_PAYLOAD_LIMIT:
            raise UnacceptableServer("the server announces a max_payload that is not a size")
        if self._tls and info.get("tls_required") is not True:
            raise UnacceptableServer("TLS is asked for but the server does not offer TLS", reason="TLSFailed")
        for key in [key for key, value in info.items() if not (_is_text(value) or isinstance(value, bool | int))]:
            del info[key]  # nats-py keeps the rest


class BoundedParser(Parser):
    """nats-py's parser, fed in small pieces: after each the buffer is checked, and the event loop is let go."""

    def __init__(self, client: BoundedClient, pace: Pace) -> None:
        super().__init__(client)
        self._client = client
        self._pace = pace
        self._to_skip = 0

    async def parse(self, data: bytes = b"") -> None:
        """Handle what arrived. Raises `UnacceptableServer`, which ends the client, for anything that is not NATS."""
        for start in range(0, len(data), _PIECE):
            await self._pace.rest()
            piece = data[start : start + _PIECE]
            skipped = min(self._to_skip, len(piece))
            self._to_skip -= skipped
            try:
                await self._pace.working(super().parse(piece[skipped:]))
            except OSError:
                raise
            except ProtocolError:
                raise UnacceptableServer("the server breaks the NATS protocol") from None
            except Exception as error:  # noqa: BLE001 - nats-py would stop reading and leave the connection open
                raise UnacceptableServer(f"the server breaks the NATS protocol ({type(error).__name__})") from None
            self._check()
            await asyncio.sleep(0)

    def _check(self) -> None:
        """What waits for its end must be of a size that is allowed."""
        if self.state == AWAITING_CONTROL_LINE:
            if _CRLF_ in self.buf:
                raise UnacceptableServer("the server breaks the NATS protocol")
            limit = INFO_LIMIT if self.buf.startswith(INFO_OP) else CONTROL_LINE_LIMIT
            if len(self.buf) > limit:
                raise UnacceptableServer("the server sent a control line without end")
        elif self.state == AWAITING_MSG_PAYLOAD:
            if self.needed > self._client.max_payload + _HEADER_LIMIT or self.header_needed > self.needed:
                raise UnacceptableServer("the server sent a message larger than the max_payload that it announces")
            if self.needed > MESSAGE_LIMIT + _HEADER_LIMIT:
                self._client.skipped += 1
                self._to_skip = self.needed + CRLF_SIZE - len(self.buf)
                self.reset()


class BoundedWebSocket(WebSocketTransport):
    """nats-py's websocket with frames of a bounded size, and no redirect to where the host config does not point."""

    def __init__(self) -> None:
        super().__init__()
        self._client.trace_configs.append(_no_redirects())

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open a plain websocket."""
        self._ws = await self._client.ws_connect(uri.geturl(), max_msg_size=WEBSOCKET_FRAME_LIMIT)
        self._using_tls = False

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        """Open a websocket over TLS; that INFO asks for TLS as well changes nothing then."""
        if self._using_tls:
            return
        url = uri if isinstance(uri, str) else uri.geturl()
        self._ws = await self._client.ws_connect(url, ssl=ssl_context, max_msg_size=WEBSOCKET_FRAME_LIMIT)
        self._using_tls = True

    async def read(self, buffer_size: int) -> bytes:
        """The next frame's content."""
        data: bytes = await super().readline()  # type: ignore[no-untyped-call]
        return data

    async def readline(self) -> bytes:
        """The next frame's content while nats-py shakes hands, which it parses as a whole."""
        data: bytes = await super().readline()  # type: ignore[no-untyped-call]
        if len(data) > INFO_LIMIT:
            raise UnacceptableServer("the server sent a control line without end")
        return data


def _no_redirects() -> aiohttp.TraceConfig:
    async def refuse(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
        raise UnacceptableServer("the server redirects to another address")

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    config.freeze()
    return config


def _server_info(info: Mapping[str, object]) -> ServerInfo | None:
    """What an INFO line holds of the server, cut to a bounded size; None without an id."""
    server_id, cluster, listed = info.get("server_id"), info.get("cluster"), info.get("connect_urls")
    if not isinstance(server_id, str) or not _is_text(server_id) or not server_id:
        return None
    urls = [url for url in listed[:_URLS_LIMIT] if _is_text(url)] if isinstance(listed, list) else []
    name = cluster if isinstance(cluster, str) and _is_text(cluster) else ""
    return ServerInfo(server_id, name, tuple(urls), auth_required=info.get("auth_required") is True)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _TEXT_LIMIT
