"""What the relay is asked and told, as typed calls. Nothing of what it answers is believed here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from carnet_client import operations
from carnet_client.connection import Connection
from carnet_client.errors import NotFound, NotSignedIn, ServerFault
from carnet_client.following import Lost, Told, follow
from carnet_client.operations import Operation
from carnet_crypto.contacts import LoggedEntry
from carnet_crypto.control import HistoryWrap, WrapFor
from carnet_crypto.encoding import from_base64url, to_base64url
from carnet_crypto.errors import ProtocolError
from carnet_crypto.values import AccountId, Blind, ThreadId

MOST_PROOFS = 200  # in one call


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """What the server says of an account, for people to see."""

    id: AccountId
    kind: str  # PERSON, PROFESSIONAL, ORGANIZATION or TEAM
    name: str
    number: int
    register_id: str | None = None


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who we are for the server."""

    kind: str  # Patient, Professional…
    name: str
    accounts: tuple[AccountInfo, ...]
    record_id: str | None = None
    register_id: str | None = None
    organization_id: str | None = None


@dataclass(frozen=True, slots=True)
class Leaf:
    """Something that is said to be in the log, without its proof."""

    data: bytes
    blind: Blind
    index: int
    number: int = 0  # of an entry, in its chain

    def logged(self, proofs: Mapping[int, tuple[bytes, ...]]) -> LoggedEntry:
        """Return it with its proof; without one where none was given."""
        return LoggedEntry(self.data, self.blind, self.index, proofs.get(self.index, ()))


@dataclass(slots=True)
class Chain:
    """A page of an account's chain."""

    info: AccountInfo
    bindings: list[Leaf]
    entries: list[Leaf]
    cursor: str | None
    has_more: bool


@dataclass(frozen=True, slots=True)
class RelayedMessage:
    """An envelope as the relay has it."""

    node_id: str
    number: int
    envelope: bytes
    received_at: str
    attachments: tuple[str, ...]  # where their sealed bytes are


@dataclass(frozen=True, slots=True)
class ThreadInfo:
    """What the server says of a thread, for lists."""

    node_id: str
    id: ThreadId
    is_open: bool
    unread: int
    last_number: int
    last_activity_at: str
    members: tuple[AccountInfo, ...]


@dataclass(slots=True)
class ThreadPage:
    """What follows in a thread: entries, wraps for us, envelopes."""

    info: ThreadInfo
    wraps: list[tuple[AccountId, int, bytes]]  # account, epoch, sealed box
    control: list[bytes]
    control_cursor: str | None
    has_more_control: bool
    messages: list[RelayedMessage] = field(default_factory=list)
    message_cursor: str | None = None
    has_more_messages: bool = False


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
        if "messagingAccounts" not in shape:
            raise ServerFault("Only patients and professionals have messages.")
        accounts = tuple(_info(each) for each in shape["messagingAccounts"])
        if shape["__typename"] == "Patient":
            record = shape.get("record")
            return Viewer("Patient", _person(shape), accounts, record and record["id"])
        organization = shape.get("organization")
        return Viewer(
            "Professional",
            f"{shape['givenName']} {shape['familyName']}",
            accounts,
            None,
            shape["rpps"],
            organization and organization["id"],
        )

    async def people(self) -> list[AccountInfo]:
        """Return whom the viewer may want to write to: patients, the care team, children."""
        found = {info.id: info for info in [info async for info in self._people()]}
        return sorted(found.values(), key=lambda info: info.name)

    async def _people(self) -> AsyncGenerator[AccountInfo, None]:
        async for edge in self._edges(operations.PATIENTS, "patients"):
            holder = edge["node"]["holder"]
            if holder and holder["messagingAccount"]:
                yield _info(holder["messagingAccount"], _person(holder))
        async for edge in self._edges(operations.CARE_TEAM, "record", "access", "careTeam"):
            for each in (edge["node"]["professional"], edge["node"]["organization"]):
                if each and each["messagingAccount"]:
                    name = each.get("name") or f"{each['givenName']} {each['familyName']}"
                    yield _info(each["messagingAccount"], name, each.get("rpps"))
        for holder in await self.acts_for():
            if holder["messagingAccount"]:
                yield _info(holder["messagingAccount"], _person(holder))

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
                found[proof["leafIndex"]] = tuple(map(_bytes, proof["hashes"]))
        return found

    async def consistency(self, since: int, size: int) -> tuple[bytes, ...]:
        """Return the proof that the log of a size holds all of a smaller one."""
        answer = await self.connection.query(operations.CONSISTENCY, since=since, size=size)
        return tuple(map(_bytes, answer["keyDirectory"]["consistencyProof"]))

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
        page = shape["entries"]["pageInfo"]
        return Chain(
            _info(shape),
            [_leaf(each, "binding") for each in shape["bindings"]],
            [_leaf(edge["node"], "entry") for edge in shape["entries"]["edges"]],
            page["endCursor"] or after,
            page["hasNextPage"],
        )

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
        return None if found is None else _bytes(found)

    async def post_pairing(self, message: bytes) -> int:
        """Leave a message for another of our devices; return its number."""
        inputs = {"message": to_base64url(message)}
        return int((await self.connection.mutate(operations.POST_PAIRING, inputs))["number"])

    async def pairing(self, after: int = 0) -> list[tuple[int, bytes]]:
        """Return what our devices have left for each other, with its numbers."""
        answer = await self.connection.query(operations.PAIRING, after=after)
        return [(each["number"], _bytes(each["message"])) for each in answer["pairingMessages"]]

    # --- threads

    async def threads(self, most: int = 100) -> list[ThreadInfo]:
        """Return our threads, the latest first."""
        found: list[ThreadInfo] = []
        after = None
        while len(found) < most:
            first = min(100, most - len(found))
            shape = (await self.connection.query(operations.THREADS, after=after, first=first))[
                "viewer"
            ]
            page = (shape or {}).get("threads")
            if not page:
                break
            found += [_thread(edge["node"]) for edge in page["edges"]]
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
        entries, page = shape["controlEntries"], None if only_control else shape["messages"]
        found = ThreadPage(
            _thread(shape),
            [(_id(w["accountId"]), w["epoch"], _bytes(w["wrap"])) for w in shape["wraps"]],
            [_bytes(edge["node"]["entry"]) for edge in entries["edges"]],
            entries["pageInfo"]["endCursor"] or control,
            entries["pageInfo"]["hasNextPage"],
            message_cursor=messages,
        )
        if page is not None:
            found.messages = [_message(edge["node"]) for edge in page["edges"]]
            found.message_cursor = page["pageInfo"]["endCursor"] or messages
            found.has_more_messages = page["pageInfo"]["hasNextPage"]
        return found

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


def relayed(shape: Mapping[str, Any]) -> RelayedMessage:
    """Return a message of an event."""
    return _message(shape)


def thread_of(shape: Mapping[str, Any]) -> tuple[ThreadId, str]:
    """Return which thread an event is of: the protocol's id, and the server's."""
    thread = shape["thread"]
    return ThreadId(_bytes(thread["protocolId"])), thread["id"]


def _info(
    shape: Mapping[str, Any], name: str | None = None, register_id: str | None = None
) -> AccountInfo:
    shown = name or shape.get("displayName") or ""
    return AccountInfo(_id(shape["accountId"]), shape["kind"], shown, shape["number"], register_id)


def _thread(shape: Mapping[str, Any]) -> ThreadInfo:
    return ThreadInfo(
        shape["id"],
        ThreadId(_bytes(shape["protocolId"])),
        shape["state"] == "OPEN",
        shape["unreadCount"],
        shape["lastNumber"],
        shape["lastActivityAt"],
        tuple(_info(member["account"]) for member in shape["members"]),
    )


def _message(shape: Mapping[str, Any]) -> RelayedMessage:
    return RelayedMessage(
        shape["id"],
        shape["number"],
        _bytes(shape["envelope"]),
        shape["receivedAt"],
        tuple(each["url"] for each in shape["attachments"]),
    )


def _leaf(shape: Mapping[str, Any], name: str) -> Leaf:
    try:
        blind = Blind(_bytes(shape["blind"]))
        return Leaf(_bytes(shape[name]), blind, shape["leafIndex"], shape.get("number", 0))
    except ProtocolError:
        raise ServerFault("The server answers what is no Carnet's.") from None


def _person(shape: Mapping[str, Any]) -> str:
    family = shape.get("usedFamilyName") or shape["birthFamilyName"]
    return f"{shape['givenNames'][0]} {family}" if shape["givenNames"] else str(family)


def _wrap(wrap: WrapFor | HistoryWrap) -> dict[str, Any]:
    return {"accountId": to_base64url(wrap.account), "wrap": to_base64url(wrap.wrap)}


def _texts(data: Sequence[bytes]) -> list[str]:
    return [to_base64url(each) for each in data]


def _id(text: str) -> AccountId:
    try:
        return AccountId(_bytes(text))
    except ProtocolError:
        raise ServerFault("The server answers what is no Carnet's.") from None


def _bytes(text: str) -> bytes:
    try:
        return from_base64url(text)
    except ProtocolError:
        raise ServerFault("The server answers what is no Carnet's.") from None
