"""What the relay answers, read into types. Nothing of it is believed here.

Raises `ServerFault` for what is no Carnet's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from carnet_client.errors import ServerFault
from carnet_crypto.contacts import LoggedEntry
from carnet_crypto.encoding import from_base64url
from carnet_crypto.errors import ProtocolError
from carnet_crypto.values import AccountId, Blind, ThreadId


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


def account_info(
    shape: Mapping[str, Any], name: str | None = None, register_id: str | None = None
) -> AccountInfo:
    """Return an account, under a better name than it has itself where one is given."""
    shown = name or shape.get("displayName") or ""
    return AccountInfo(_id(shape["accountId"]), shape["kind"], shown, shape["number"], register_id)


def viewer(shape: Mapping[str, Any]) -> Viewer:
    """Return who we are.

    Raises:
        ServerFault: somebody who has no messages.
    """
    if "messagingAccounts" not in shape:
        raise ServerFault("Only patients and professionals have messages.")
    accounts = tuple(account_info(each) for each in shape["messagingAccounts"])
    if shape["__typename"] == "Patient":
        record = shape.get("record")
        return Viewer("Patient", person_name(shape), accounts, record and record["id"])
    organization = shape.get("organization")
    return Viewer(
        "Professional",
        f"{shape['givenName']} {shape['familyName']}",
        accounts,
        None,
        shape["rpps"],
        organization and organization["id"],
    )


def person_name(shape: Mapping[str, Any]) -> str:
    """Return what a person is called."""
    family = shape.get("usedFamilyName") or shape["birthFamilyName"]
    return f"{shape['givenNames'][0]} {family}" if shape["givenNames"] else str(family)


def chain(shape: Mapping[str, Any], after: str | None) -> Chain:
    """Return a page of a chain: what follows a cursor."""
    page = shape["entries"]["pageInfo"]
    return Chain(
        account_info(shape),
        [_leaf(each, "binding") for each in shape["bindings"]],
        [_leaf(edge["node"], "entry") for edge in shape["entries"]["edges"]],
        page["endCursor"] or after,
        page["hasNextPage"],
    )


def thread_info(shape: Mapping[str, Any]) -> ThreadInfo:
    """Return a thread of a list."""
    return ThreadInfo(
        shape["id"],
        ThreadId(raw(shape["protocolId"])),
        shape["state"] == "OPEN",
        shape["unreadCount"],
        shape["lastNumber"],
        shape["lastActivityAt"],
        tuple(account_info(member["account"]) for member in shape["members"]),
    )


def thread_page(
    shape: Mapping[str, Any], control: str | None, messages: str | None, *, only_control: bool
) -> ThreadPage:
    """Return what follows two cursors in a thread."""
    entries, page = shape["controlEntries"], None if only_control else shape["messages"]
    found = ThreadPage(
        thread_info(shape),
        [(_id(w["accountId"]), w["epoch"], raw(w["wrap"])) for w in shape["wraps"]],
        [raw(edge["node"]["entry"]) for edge in entries["edges"]],
        entries["pageInfo"]["endCursor"] or control,
        entries["pageInfo"]["hasNextPage"],
        message_cursor=messages,
    )
    if page is not None:
        found.messages = [relayed(edge["node"]) for edge in page["edges"]]
        found.message_cursor = page["pageInfo"]["endCursor"] or messages
        found.has_more_messages = page["pageInfo"]["hasNextPage"]
    return found


def relayed(shape: Mapping[str, Any]) -> RelayedMessage:
    """Return a message, of a page or of an event."""
    return RelayedMessage(
        shape["id"],
        shape["number"],
        raw(shape["envelope"]),
        shape["receivedAt"],
        tuple(each["url"] for each in shape["attachments"]),
    )


def thread_of(shape: Mapping[str, Any]) -> tuple[ThreadId, str]:
    """Return which thread an event is of: the protocol's id, and the server's."""
    thread = shape["thread"]
    return ThreadId(raw(thread["protocolId"])), thread["id"]


def raw(text: str) -> bytes:
    """Return bytes that the relay has as text."""
    try:
        return from_base64url(text)
    except ProtocolError:
        raise ServerFault("The server answers what is no Carnet's.") from None


def _leaf(shape: Mapping[str, Any], name: str) -> Leaf:
    try:
        blind = Blind(raw(shape["blind"]))
        return Leaf(raw(shape[name]), blind, shape["leafIndex"], shape.get("number", 0))
    except ProtocolError:
        raise ServerFault("The server answers what is no Carnet's.") from None


def _id(text: str) -> AccountId:
    try:
        return AccountId(raw(text))
    except ProtocolError:
        raise ServerFault("The server answers what is no Carnet's.") from None
