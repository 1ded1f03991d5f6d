"""One WebSocket without GraphQL: handshake, frames, the client's pace, pings and closing.

The handshake and the frames that come in are `websockets`' (its half without I/O); frames that go
out are written at once. Uvicorn makes a socket with the arguments of its own protocols and hands
it the connection, past ASGI.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Sequence
from time import monotonic
from typing import Any, cast

from websockets.exceptions import InvalidMessage
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from carnet.http.operations import messages
from carnet.http.operations.messages import SUBPROTOCOL, CloseCode

PING = b"\x89\x00"
NO_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_quiet = logging.getLogger("carnet.websockets")  # what a client sends is not ours to log
_quiet.disabled = True


class WebSocket(asyncio.Protocol):
    """One socket, as small as can be: no task, no queue and no timer of its own."""

    __slots__ = (
        "_close_timeout",
        "_closing",
        "_connections",
        "_drained",
        "_heard",
        "_is_text",
        "_message",
        "_peer",
        "_transport",
        "_was_open",
        "_ws",
        "is_lost",
        "is_paused",
        "opened_at",
    )

    def __init__(self, connections: set[Any], *, max_size: int, close_timeout: float) -> None:
        """Prepare.

        Args:
            connections: those of the server, which it closes at its end.
            max_size: bytes of a message.
            close_timeout: seconds that a client has to answer a close.
        """
        self._connections = connections
        self._close_timeout = close_timeout
        self._ws = ServerProtocol(
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            select_subprotocol=_select_subprotocol,
            max_size=max_size,
            logger=_quiet,
        )
        self._transport = cast(asyncio.Transport, None)
        self._peer: Any = None
        self._message: bytearray | None = None  # what came of one in fragments
        self._is_text = True
        self._heard = True
        self._was_open = False
        self._drained: asyncio.Future[None] | None = None
        self._closing: asyncio.TimerHandle | None = None
        self.opened_at = monotonic()
        self.is_paused = self.is_lost = False

    # --- what it is used for

    @abstractmethod
    def refusal(self, request: Request) -> tuple[int, str] | None:
        """Return the status and text with which a handshake is refused, or None."""

    @abstractmethod
    def opened(self, request: Request) -> None:
        """Take word that the handshake is done."""

    @abstractmethod
    def take_message(self, text: bytes) -> None:
        """Take a message; a binary one is empty.

        Raises:
            ValueError: it is none.
        """

    @abstractmethod
    def end_all(self) -> None:
        """End what is under way: the socket closes."""

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over from HTTP."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer = transport.get_extra_info("peername")
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes; nothing that they may hold raises."""
        self._heard = True
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if isinstance(event, Request):
                self._answer_handshake(event)
            elif isinstance(event, Frame):
                self._take_frame(event)
        if isinstance(self._ws.handshake_exc, InvalidMessage):
            self._transport.write(NO_REQUEST)
        self._flush()
        if self._was_open and self._ws.state is not State.OPEN:
            self._depart()  # the client closed, or broke the protocol and was told so

    def eof_received(self) -> None:
        """Take the end of what the client sends."""
        self._ws.receive_eof()
        self._flush()

    def pause_writing(self) -> None:
        """The client does not read: take nothing more from it, and send nothing more."""
        self.is_paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self.is_paused = False
        if not self.is_lost and not self._transport.is_closing():
            self._transport.resume_reading()
        self._release()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything of this socket."""
        self.is_lost = True
        self._connections.discard(self)
        if self._closing is not None:
            self._closing.cancel()
        self.end_all()
        self._release()

    def shutdown(self) -> None:
        """Close because the server stops; uvicorn calls it."""
        self.stop()

    # --- the client's pace

    @property
    def is_closing(self) -> bool:
        """Whether nothing more is told."""
        return self.is_lost or self._closing is not None

    @property
    def is_open(self) -> bool:
        """Whether messages go both ways."""
        return self._ws.state is State.OPEN

    @property
    def subprotocol(self) -> str | None:
        """What both sides speak."""
        return self._ws.subprotocol

    async def writable(self) -> None:
        """Wait until the client reads."""
        while self.is_paused and not self.is_lost:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)

    def ping(self) -> None:
        """See whether the client is still there; one that was silent since the last ping is not."""
        if self._closing is not None:
            return
        if not self._heard:
            self._transport.abort()
            return
        self._heard = False
        if not self.is_paused:
            self._transport.write(PING)

    def stop(self) -> None:
        """Close so that the client comes back, to this or to another server."""
        self.close(CloseCode.SERVICE_RESTART, "The server is stopping")

    def close(self, code: CloseCode, reason: str) -> None:
        """Close with a code, and without more words if the client does not answer."""
        if self.is_lost or self._closing is not None:
            return
        if self._ws.state is State.OPEN:
            self._ws.send_close(code, reason)
            self._flush()
        else:
            self._transport.close()
        self._depart()

    def _depart(self) -> None:
        """End what is under way, and the connection itself if the client does not soon."""
        if self.is_lost or self._closing is not None:
            return
        abort = self._transport.abort
        self._closing = asyncio.get_running_loop().call_later(self._close_timeout, abort)
        self.end_all()

    # --- handshake and frames

    def _answer_handshake(self, request: Request) -> None:
        refused = self.refusal(request)
        response = self._ws.reject(*refused) if refused else self._ws.accept(request)
        self._ws.send_response(response)
        self._flush()
        if self.is_open:
            self._was_open = True
            self.opened_at = monotonic()
            self.opened(request)

    def _take_frame(self, frame: Frame) -> None:
        if self._closing is not None:
            return
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY:
                self._is_text = frame.opcode is Opcode.TEXT
                self._message = bytearray(frame.data)
            case Opcode.CONT if self._message is not None:
                self._message += frame.data
            case _:
                return  # pings and closes are answered below us
        if frame.fin and self._message is not None:
            whole, self._message = bytes(self._message), None
            try:
                self.take_message(whole if self._is_text else b"")
            except ValueError:
                self.close(CloseCode.BAD_REQUEST, "Invalid message")

    # --- writing

    def write(self, message: bytes) -> None:
        """Write one text message."""
        if not self.is_closing:
            self._transport.write(messages.frame_head(len(message)) + message)

    def _flush(self) -> None:
        for data in self._ws.data_to_send():
            if data:
                self._transport.write(data)
            else:  # the closing handshake is done, or nothing more can be said
                self._transport.close()

    def _release(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None


def _select_subprotocol(
    _protocol: ServerProtocol, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None
