"""What the relay is asked and told, as typed calls. What it answers, `answers` reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from carnet_client import answers, operations
from carnet_client.answers import AccountInfo, Chain, ThreadInfo, ThreadPage, Viewer
from carnet_client.connection import Connection
from carnet_client.errors import NotFound, NotSignedIn
from carnet_client.following import Lost, Told, follow
from carnet_client.operations import Operation
from carnet_crypto.encoding import to_base64url
from carnet_crypto.rotation import HistoryWrap, WrapFor
from carnet_crypto.values import AccountId, ThreadId

MOST_PROOFS = 200  # in one call


class Relay:
    """The messaging part of a server."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def viewer(self) -> Viewer:
        """Return who we are.

        Raises:
            NotSignedIn: nobody has signed in with this connection.
        """
        shape = (await self.connection.query(operations.VIEWER))["viewer"]
        if shape is None:
            raise NotSignedIn
        return answers.viewer(shape)

    async def people(self) -> list[AccountInfo]:
        """Return whom the viewer may want to write to: patients, the care team, children."""
        found = {info.id: info for info in [info async for info in self._people()]}
        return sorted(found.values(), key=lambda info: info.name)

    async def _people(self) -> AsyncGenerator[AccountInfo, None]:
        async for edge in self._edges(operations.PATIENTS, "patients"):
            holder = edge["node"]["holder"]
            if holder and holder["messagingAccount"]:
                yield answers.account_info(holder["messagingAccount"], answers.person_name(holder))
        async for edge in self._edges(operations.CARE_TEAM, "record", "access", "careTeam"):
            for each in (edge["node"]["professional"], edge["node"]["organization"]):
                if each and each["messagingAccount"]:
                    name = each.get("name") or f"{each['givenName']} {each['familyName']}"
                    yield answers.account_info(each["messagingAccount"], name, each.get("rpps"))
        for holder in await self.acts_for():
            if holder["messagingAccount"]:
                yield answers.account_info(holder["messagingAccount"], answers.person_name(holder))

    async def acts_for(self) -> list[dict[str, Any]]:
        """Return the people the viewer acts for in messages, as the server has them."""
        shape = (await self.connection.query(operations.ACTS_FOR))["viewer"]
        edges = (shape or {}).get("actsFor", {}).get("edges", [])
        nodes = (edge["node"] for edge in edges)
        return [n["holder"] for n in nodes if n["holder"] and "MESSAGES" in n["scopes"]]

    async def _edges(self, operation: Operation, *path: str) -> AsyncIterator[dict[str, Any]]:
        after = None
        while True:
            shape: Any = (await self.connection.query(operation, after=after))["viewer"]
            for name in path:
                shape = (shape or {}).get(name)
            if not shape:
                return
            for edge in shape["edges"]:
                yield edge
            if not shape["edges"] or not shape["pageInfo"]["hasNextPage"]:
                return
            after = shape["pageInfo"]["endCursor"]

    # --- the directory

    async def directory(self) -> tuple[str, str]:
        """Return the newest checkpoint, and the key that the server says signs it."""
        shape = (await self.connection.query(operations.DIRECTORY))["keyDirectory"]
        return shape["checkpoint"], shape["logKey"]

    async def inclusion(self, leaves: Sequence[int], size: int) -> dict[int, tuple[bytes, ...]]:
        """Return proofs that leaves are in the log of a size."""
        found: dict[int, tuple[bytes, ...]] = {}
        for at in range(0, len(leaves), MOST_PROOFS):
            asked = list(leaves[at : at + MOST_PROOFS])
            answer = await self.connection.query(operations.PROOFS, leaves=asked, size=size)
            for proof in answer["keyDirectory"]["inclusionProofs"]:
                found[proof["leafIndex"]] = tuple(map(answers.raw, proof["hashes"]))
        return found

    async def consistency(self, since: int, size: int) -> tuple[bytes, ...]:
        """Return the proof that the log of a size holds all of a smaller one."""
        answer = await self.connection.query(operations.CONSISTENCY, since=since, size=size)
        return tuple(map(answers.raw, answer["keyDirectory"]["consistencyProof"]))

    async def chain(self, account: AccountId, after: str | None) -> Chain:
        """Return a page of a chain.

        Raises:
            NotFound: there is no such account, or it is not ours to see.
        """
        ids = [to_base64url(account)]
        shape = (await self.connection.query(operations.CHAINS, ids=ids, after=after))[
            "messagingAccounts"
        ][0]
        if shape is None:
            raise NotFound("NOT_FOUND", "There is no such account.")
        return answers.chain(shape, after)

    # --- our accounts

    async def create_account(
        self, entries: Sequence[bytes], owner: Mapping[str, str], key: str
    ) -> None:
        """Begin an account."""
        await self.connection.mutate(
            operations.CREATE_ACCOUNT, {"entries": _texts(entries), **owner}, key
        )

    async def append(self, account: AccountId, entries: Sequence[bytes]) -> None:
        """Add to a chain: all, or nothing."""
        await self.connection.mutate(
            operations.APPEND_ENTRIES,
            {"accountId": to_base64url(account), "entries": _texts(entries)},
        )

    async def put_backup(self, account: AccountId, backup: bytes) -> None:
        """Keep what the recovery code opens."""
        await self.connection.mutate(
            operations.PUT_BACKUP,
            {"accountId": to_base64url(account), "backup": to_base64url(backup)},
        )

    async def backup(self, account: AccountId) -> bytes | None:
        """Return what the recovery code opens; None where there is nothing."""
        answer = await self.connection.query(operations.BACKUP, id=to_base64url(account))
        found = answer["recoveryBackup"]
        return None if found is None else answers.raw(found)

    async def post_pairing(self, message: bytes) -> int:
        """Leave a message for another of our devices; return its number."""
        inputs = {"message": to_base64url(message)}
        return int((await self.connection.mutate(operations.POST_PAIRING, inputs))["number"])

    async def pairing(self, after: int = 0) -> list[tuple[int, bytes]]:
        """Return what our devices have left for each other, with its numbers."""
        answer = await self.connection.query(operations.PAIRING, after=after)
        return [
            (each["number"], answers.raw(each["message"])) for each in answer["pairingMessages"]
        ]

    # --- threads

    async def threads(self, most: int = 100) -> list[ThreadInfo]:
        """Return our threads, the latest first."""
        found: list[ThreadInfo] = []
        after = None
        while len(found) < most:
            first = min(50, most - len(found))  # with their members, of which there may be many
            shape = (await self.connection.query(operations.THREADS, after=after, first=first))[
                "viewer"
            ]
            page = (shape or {}).get("threads")
            if not page:
                break
            found += [answers.thread_info(edge["node"]) for edge in page["edges"]]
            if not page["edges"] or not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        return found

    async def thread(
        self, node_id: str, control: str | None, messages: str | None, *, only_control: bool = False
    ) -> ThreadPage:
        """Return what follows in a thread.

        Raises:
            NotFound: there is no such thread, or it is not ours to see.
        """
        if only_control:
            answer = await self.connection.query(operations.CONTROL, id=node_id, control=control)
        else:
            answer = await self.connection.query(
                operations.THREAD, id=node_id, control=control, messages=messages
            )
        shape = answer["node"]
        if not shape:
            raise NotFound("NOT_FOUND", "There is no such conversation.")
        return answers.thread_page(shape, control, messages, only_control=only_control)

    async def open_thread(self, entry: bytes, wraps: Sequence[WrapFor]) -> str:
        """Begin a thread; return its id at the server."""
        inputs = {"entry": to_base64url(entry), "wraps": [_wrap(wrap) for wrap in wraps]}
        answer = await self.connection.mutate(operations.OPEN_THREAD, inputs)
        return str(answer["thread"]["id"])

    async def append_control(
        self,
        thread: ThreadId,
        entry: bytes,
        wraps: Sequence[WrapFor],
        history: Sequence[HistoryWrap],
    ) -> None:
        """Add to a thread's control log."""
        given = [_wrap(wrap) for wrap in wraps]
        given += [{**_wrap(wrap), "epoch": wrap.epoch} for wrap in history]
        await self.connection.mutate(
            operations.APPEND_CONTROL,
            {"threadId": to_base64url(thread), "entry": to_base64url(entry), "wraps": given},
        )

    async def send(
        self,
        envelope: bytes,
        account: AccountId,
        device: bytes,
        sequence: int,
        blobs: Sequence[str],
        expires_at: int,
        key: str,
    ) -> int:
        """Send an envelope; return its number.

        Args:
            envelope: the message.
            account: whose.
            device: the device that sealed it.
            sequence: the device's number of it.
            blobs: ids of its sealed files.
            expires_at: when the server erases its body, in milliseconds since 1970; 0 for never.
            key: of idempotency.
        """
        inputs: dict[str, Any] = {
            "envelope": to_base64url(envelope),
            "accountId": to_base64url(account),
            "deviceId": to_base64url(device),
            "sequence": sequence,
            "blobIds": list(blobs),
        }
        if expires_at:
            inputs["expiresAt"] = datetime.fromtimestamp(expires_at / 1000, UTC).isoformat()
        answer = await self.connection.mutate(operations.SEND, inputs, key)
        return int(answer["sent"]["number"])

    async def erase(self, message_node_id: str) -> None:
        """Erase a message's body and files at the server."""
        await self.connection.mutate(operations.ERASE, {"messageId": message_node_id})

    async def mark_read(self, thread: ThreadId, number: int) -> None:
        """Note up to where we have read."""
        inputs = {"threadId": to_base64url(thread), "number": number}
        await self.connection.mutate(operations.MARK_READ, inputs)

    def follow(self) -> AsyncGenerator[Told | Lost, None]:
        """Yield what happens in our threads, for as long as it takes."""
        return follow(self.connection, operations.INBOX, {})


def _wrap(wrap: WrapFor | HistoryWrap) -> dict[str, Any]:
    return {"accountId": to_base64url(wrap.account), "wrap": to_base64url(wrap.wrap)}


def _texts(data: Sequence[bytes]) -> list[str]:
    return [to_base64url(each) for each in data]
