"""HTTP/1.1 on one connection: uvicorn's own protocol, with the bounds that it has none of.

A head has to come soon and be small, and whatever is sent is answered: what is no HTTP too, and the
answers that are under way then are finished first. Bodies are bounded by the routes that read them.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
from httptools import parse_url
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from carnet.http.operations.connections import AGAIN_IN, Peers
from carnet.http.services import new_correlation_id

HEAD_TIMEOUT = 10.0  # seconds from the first byte of a request to the end of its head
HEAD_LIMIT = 32 * 1024  # bytes of a request's line and headers; nginx takes as much
TAKE_TIMEOUT = 30.0  # seconds in which a client may take nothing of an answer that waits for it
TRAILER_LIMIT = 100  # header lines after a chunked body; nothing here reads one

ORIGIN = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)  # before the path of a whole URL

NO_HTTP = (400, "BAD_REQUEST", "This is no HTTP request.")
HEAD_TOO_LARGE = (431, "HEAD_TOO_LARGE", f"Line and headers have at most {HEAD_LIMIT} bytes.")
HEAD_TOO_SLOW = (408, "REQUEST_TIMEOUT", f"The head took more than {HEAD_TIMEOUT:.0f} seconds.")
TOO_MANY = (429, "RATE_LIMITED", "Too many connections from this address.")


class HttpProtocol(HttpToolsProtocol):
    """One connection.

    Args:
        peers: counts it with the others of its address; a socket that takes it over counts on.
    """

    head_timeout = HEAD_TIMEOUT
    take_timeout = TAKE_TIMEOUT

    def __init__(self, *args: Any, peers: Peers | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._peers = peers
        self._timer: asyncio.TimerHandle | None = None  # runs while a head is awaited
        self._watch: asyncio.TimerHandle | None = None  # runs while the client has to take more
        self._running: RequestResponseCycle | None = None
        self._fault = NO_HTTP
        self._size = 0  # bytes since a head is awaited
        self._trailers = 0
        self._has_begun = False  # a request's first byte has come, its last has not
        self._is_in_head = True
        self._is_over = False  # nothing more is taken

    # --- asyncio.Protocol

    def connection_made(  # type: ignore[override]  # uvicorn's is narrower than asyncio's
        self, transport: asyncio.Transport
    ) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._start_timer()
        if self._peers is not None and not self._peers.enter(self.client):
            self._refuse(TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._peers is not None:
            self._peers.leave(self.client)
        self._stop_timer()
        self._stop_watch()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn's always ends it
        """The client says no more: what came whole before is answered all the same.

        What streams has begun by then; it ends, as most who close their half are gone.
        """
        self._is_over = True
        self._stop_timer()
        if not self._is_in_head:
            self._drop(self.cycle)
        last, running = self._last(), self._running
        if last is None or running is None or running.response_started:
            return False
        last.keep_alive = False
        return True

    def data_received(self, data: bytes) -> None:
        """Take bytes; nothing that they may hold raises."""
        if self._is_over:
            return
        if self._is_in_head:
            self._size += len(data)
            self._start_timer()
        super().data_received(data)
        if self._is_in_head and self._has_begun:
            self._start_timer()
            if self._size > HEAD_LIMIT:
                self._refuse(HEAD_TOO_LARGE)

    # --- what the parser tells

    def on_message_begin(self) -> None:
        """A request begins."""
        self._has_begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; after a body they are not kept."""
        if self._is_in_head:
            super().on_header(name, value)
            return
        self._trailers += 1
        if self._trailers > TRAILER_LIMIT:
            raise ValueError("too many trailers")  # ends as `send_400_response`

    def on_headers_complete(self) -> None:
        """The head has come."""
        self._stop_timer()
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_LIMIT:
            self._fault = HEAD_TOO_LARGE
            raise ValueError("the head is too large")
        self._take_host_of_target()
        super().on_headers_complete()
        self._is_in_head = False
        self._trailers = 0

    def on_message_complete(self) -> None:
        """The request has come; another may follow."""
        self._stop_timer()
        self._has_begun = False
        self._is_in_head = True
        self._size = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is done; a request that was refused before it ended has to end soon."""
        super().on_response_complete()
        if not self._is_in_head and self.cycle.response_complete:
            self._start_timer()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over."""
        self._stop_timer()
        self._is_over = True
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser does not take."""
        self._refuse(self._fault)

    def _take_host_of_target(self) -> None:
        """Let the host of a target that is a whole URL count, whatever Host says.

        Proxies are sent such targets, and everybody who reads the one looks at another host than
        who reads the other. A request still has one Host (RFC 9112, 3.2 and 3.2.2).

        Raises:
            ValueError, HttpParserInvalidURLError: the target is another kind of URL, or none.
        """
        if self.url.startswith((b"/", b"*")):
            return
        origin = ORIGIN.match(self.url)
        if origin is None:
            raise ValueError("the target is no path")
        parse_url(self.url)
        path = self.url[origin.end() :]
        self.url = path if path.startswith(b"/") else b"/" + path
        said = [place for place, (name, _) in enumerate(self.headers) if name == b"host"]
        for place in said:
            self.headers[place] = b"host", origin[1]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # --- the client's pace

    def pause_writing(self) -> None:
        """More waits for the client than is sent at once: it has to go on taking of it."""
        super().pause_writing()
        self._look(-1)

    def resume_writing(self) -> None:
        """It has taken what waited."""
        self._stop_watch()
        super().resume_writing()

    def _look(self, before: int) -> None:
        """Drop a client that has taken nothing since the last look."""
        waiting = self.transport.get_write_buffer_size()
        if waiting == before:
            self.transport.abort()
        else:
            self._watch = self.loop.call_later(self.take_timeout, self._look, waiting)

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    # --- deadlines and refusals

    def _start_timer(self) -> None:
        if self._timer is None and not self._is_over:
            self._timer = self.loop.call_later(self.head_timeout, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        if self._is_in_head and (self._size or self._has_begun):
            self._refuse(HEAD_TOO_SLOW)
        else:
            self.transport.close()  # it never asked anything, or was answered

    def _refuse(self, fault: tuple[int, str, str]) -> None:
        """Answer and close, after the answers to what came whole before."""
        self._is_over = True
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self._has_begun and not self._is_in_head:  # a body that breaks off has no answer else
            self._drop(self.cycle)
        last = self._last()
        if last is not None:
            last.keep_alive = False
            return
        status, code, message = fault
        extensions: dict[str, Any] = {"code": code, "correlationId": new_correlation_id()}
        if fault is TOO_MANY:
            extensions["retryAfter"] = AGAIN_IN
        body = orjson.dumps({"errors": [{"message": message, "extensions": extensions}]})
        head = (
            STATUS_LINE[status],
            b"content-type: application/json\r\n",
            b"content-length: %d\r\n" % len(body),
            b"cache-control: no-store\r\n",
            b"x-content-type-options: nosniff\r\n",
            b"retry-after: %d\r\n" % AGAIN_IN if fault is TOO_MANY else b"",
            b"connection: close\r\n\r\n",
        )
        self.transport.write(b"".join(head) + body)
        self.transport.close()

    def _last(self) -> RequestResponseCycle | None:
        """Return the last request that still waits for its answer."""
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last is None or last.response_complete or last.disconnected:
            return None
        return last

    def _drop(self, cycle: RequestResponseCycle) -> None:
        """Let a request go whose body cannot be read to its end."""
        if cycle.response_started and not cycle.response_complete:
            self.transport.close()
        cycle.disconnected = True
        cycle.message_event.set()
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()
