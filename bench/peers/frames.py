"""The floor: a bare loop that writes a prepared frame to every socket, and knows no GraphQL.

With the word ``together``, all events of one publication go to a socket in one write: that shows
how many frames the clients can take.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys

import orjson
import uvloop

FIELDS = {"cursor": "x" * 43, "document": {"id": "d" * 38, "title": "Compte rendu 1"}}
BODY = orjson.dumps({"type": "next", "id": "1", "payload": {"data": {"event": FIELDS}}})
FRAME = b"\x81\x7e" + len(BODY).to_bytes(2, "big") + BODY
ACK = b'{"type":"connection_ack"}'
TOGETHER = "together" in sys.argv
members: set = set()


class Peer(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.said = 0

    def data_received(self, data):
        if data.startswith(b"POST /publish"):
            count = int(data.split(b"count=")[1].split(b" ")[0])
            frames, times = (FRAME * count, 1) if TOGETHER else (FRAME, count)
            for _ in range(times):
                for member in members:
                    member.transport.write(frames)
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        self.said += 1
        if self.said == 1:
            key = data.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key + guid).digest())  # noqa: S324 — RFC 6455
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
            )
        elif self.said == 2:
            self.transport.write(bytes((0x81, len(ACK))) + ACK)
        else:
            members.add(self)

    def connection_lost(self, exc):
        members.discard(self)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Peer, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    print("serves", flush=True)
    await server.serve_forever()


uvloop.run(main())
