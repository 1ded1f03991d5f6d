"""Proving an access journal offline: that nothing was removed, changed or reordered.

    python -m carnet_client.journal journal.json
    python -m carnet_client.journal journal.json --since last-year/journal.json
    python -m carnet_client.journal journal.json --public-key 7Vq…

``journal.json`` is in every exported archive of a record: the signed head of the log, and each
entry with the hashes that prove its place. Nothing is asked of any server.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carnet_crypto.encoding import DecodeError, from_base64url
from carnet_crypto.errors import ProofFailed
from carnet_crypto.headfile import NotAHead, head_from_json
from carnet_crypto.merkle import leaf_hash, verify_consistency, verify_inclusion
from carnet_crypto.signatures import SignatureFailed, verify_head
from carnet_crypto.treehead import TreeHead

LOG = "journal"  # the same key may sign other logs, whose leaves are no entries


class JournalError(Exception):
    """The journal is not what it is said to be."""


class NotAJournal(JournalError):
    """The file holds no journal."""


class HeadForged(JournalError):
    """The head was not signed by that key."""


class EntryForged(JournalError):
    """An entry is not in the log that the head is of."""


class EntryMissing(JournalError):
    """A number is missing or stands twice: an entry was taken away."""


class EntryLost(JournalError):
    """An entry that an earlier journal proved is no longer the same."""


class LogRewritten(JournalError):
    """The log does not extend the one of an earlier head."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the log has it: ``hash`` is that of its leaf. Of one that is withheld, about a
    result that the holder chose to see later, ``leaf`` is None."""

    leaf: bytes | None = field(repr=False)
    hash: bytes = field(repr=False)
    shape: dict[str, Any] = field(repr=False)
    index: int | None
    proof: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Journal:
    """A journal that was read, not yet verified."""

    head: TreeHead | None
    public_key: bytes
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proved: how many entries, how many were too young to be in the log, and how many
    are withheld until the holder's days for results are over."""

    proved: int
    unsealed: int
    head: TreeHead | None
    withheld: int = 0


def read_journal(text: str | bytes) -> Journal:
    """Read ``journal.json``.

    Raises:
        NotAJournal: it is something else.
    """
    try:
        shape = json.loads(text)
        head, key = None, b""
        if shape["head"] is not None:
            head, key = head_from_json(shape["head"])
        return Journal(head, key, tuple(_entry(one) for one in shape["entries"]))
    except (ValueError, KeyError, TypeError, DecodeError, NotAHead, RecursionError) as error:
        raise NotAJournal("This is no journal of a Carnet record.") from error


def _entry(shape: dict[str, Any]) -> Entry:
    leaf = from_base64url(shape["leaf"]) if "leaf" in shape else None
    if leaf is None:
        hash_of_leaf, told = from_base64url(shape["leafHash"]), {"chain": "MAIN"}
        told["number"] = shape["number"]
    else:
        hash_of_leaf, told = leaf_hash(leaf), json.loads(leaf)
    if not isinstance(told["number"], int) or not isinstance(told["chain"], str):
        raise TypeError("number")
    proof = shape["inclusionProof"]
    index = None if proof is None else int(shape["leafIndex"])
    hashes = tuple(from_base64url(hash_) for hash_ in proof or ())
    return Entry(leaf, hash_of_leaf, told, index, hashes)


def verify(journal: Journal, public_key: bytes | None = None) -> Proof:
    """Prove a journal.

    Args:
        journal: what was read.
        public_key: the key that the reader knows the server by; without it, the file's own.

    Raises:
        HeadForged, EntryForged, EntryMissing: it is not whole.
    """
    head = journal.head
    if head is not None:
        if head.log != LOG:
            raise HeadForged(f"The head is of the log {head.log!r}, and not of the journal.")
        try:
            verify_head(head, public_key or journal.public_key)
        except SignatureFailed as error:
            raise HeadForged(f"The head of size {head.size} is not signed by that key.") from error
    proved = 0
    for entry in journal.entries:
        if entry.index is None:
            continue
        if head is None:
            raise EntryForged("An entry claims a place in a log without a head.")
        try:
            verify_inclusion(entry.hash, entry.index, head.size, entry.proof, head.root)
        except ProofFailed as error:
            raise EntryForged(
                f"Entry {entry.shape['number']} of chain {entry.shape['chain']} is not in the log."
            ) from error
        proved += 1
    _check_numbers(journal.entries)
    withheld = sum(entry.leaf is None for entry in journal.entries)
    return Proof(proved, len(journal.entries) - proved, head, withheld)


def _check_numbers(entries: Sequence[Entry]) -> None:
    if len({entry.shape.get("recordId") for entry in entries if entry.leaf is not None}) > 1:
        raise EntryForged("The entries are of several records.")
    main = [entry.shape["number"] for entry in entries if entry.shape["chain"] == "MAIN"]
    for place, number in enumerate(sorted(main), 1):
        if number != place:
            raise EntryMissing(f"Entry {place} of chain MAIN is missing, or stands twice.")


def verify_since(journal: Journal, earlier: Journal) -> None:
    """Prove that everything an earlier journal proved is still there, and the same.

    Raises:
        EntryLost: an entry is gone, changed or elsewhere.
        LogRewritten: the log has shrunk.
    """
    if earlier.head is not None and (journal.head is None or journal.head.size < earlier.head.size):
        raise LogRewritten("The log is shorter than it was.")
    now = {entry.index: entry.hash for entry in journal.entries if entry.index is not None}
    for entry in earlier.entries:
        if entry.index is not None and now.get(entry.index) != entry.hash:
            raise EntryLost(
                f"Entry {entry.shape['number']} of chain {entry.shape['chain']} is not what it was."
            )


def verify_extension(old: TreeHead, new: TreeHead, proof: Sequence[bytes]) -> None:
    """Prove with the hashes of ``journalConsistency`` that a log extends the one of an older head.

    Raises:
        LogRewritten: it does not.
    """
    try:
        verify_consistency(old.size, old.root, new.size, new.root, proof)
    except ProofFailed as error:
        raise LogRewritten("The log does not extend the one that was.") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify a file and say in one line what came of it; 1 when it is not whole."""
    parser = argparse.ArgumentParser(
        prog="python -m carnet_client.journal",
        description="Prove offline that an access journal is whole.",
    )
    parser.add_argument("file", type=Path, help="journal.json of an exported archive")
    parser.add_argument(
        "--since", type=Path, metavar="FILE", help="an earlier journal.json: nothing of it is lost"
    )
    parser.add_argument(
        "--public-key", metavar="KEY", help="the server's key as you know it, in base64url"
    )
    given = parser.parse_args(arguments)
    try:
        key = from_base64url(given.public_key) if given.public_key else None
        journal = read_journal(given.file.read_bytes())
        proof = verify(journal, key)
        if given.since is not None:
            earlier = read_journal(given.since.read_bytes())
            verify(earlier, key)
            verify_since(journal, earlier)
    except (JournalError, DecodeError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 — a command's answer
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201 — a command's answer
        return 1
    size = proof.head.size if proof.head else 0
    young = f", {proof.unsealed} too young to be in the log" if proof.unsealed else ""
    later = f", {proof.withheld} of them about results you chose to see later"
    more = young + (later if proof.withheld else "")
    print(f"The journal is whole: {proof.proved} entries proved{more}; log of {size} entries.")  # noqa: T201 — a command's answer
    return 0


if __name__ == "__main__":
    sys.exit(main())
