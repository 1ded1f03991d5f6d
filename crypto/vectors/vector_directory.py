"""Cases of the directory: checkpoints, witnesses, bindings, leaves and proofs."""

from __future__ import annotations

from typing import Any

from nacl import bindings
from vector_cases import Cases
from vector_people import DAY, MINUTE, NOW, Actor, Stream
from vector_world import World

from carnet_crypto import merkle, sodium
from carnet_crypto.checkpoint import (
    Checkpoint,
    NoteKey,
    checkpoint_body,
    cosignature_line,
    cosigned_bytes,
    read_checkpoint,
    signed_note,
)
from carnet_crypto.directory import (
    HandleClass,
    binding_bytes_to_sign,
    chain_leaf,
    professional_label,
    unsigned_binding,
)
from carnet_crypto.labels import Label
from carnet_crypto.values import AccountId, Blind, Label32, SignSeed

SIZE = 11  # leaves of the log


class Directory:
    """A log with a few leaves, its key, and three witnesses."""

    def __init__(self, people: dict[str, Actor]) -> None:
        self.blind = Blind(b"\x0e" * 32)
        doctor = people["doctor"]
        first = chain_leaf(doctor.id, 0, doctor.chain[0], self.blind)
        self.leaves = [first, *(bytes([number]) for number in range(1, SIZE))]
        self._seeds: dict[str, SignSeed] = {}
        self.log = self.key("carnet.example/directory")
        self.witnesses = [self.key(f"witness{number}.example") for number in range(3)]

    def key(self, name: str) -> NoteKey:
        """Return the key of somebody who signs."""
        seed = Stream(b"carnet vectors: " + name.encode())(32)
        self._seeds[name] = SignSeed(seed)
        return NoteKey(name, sodium.sign_public(self._seeds[name]))

    def sign(self, name: str, message: bytes) -> bytes:
        """Return a signature in somebody else's format."""
        _, secret = bindings.crypto_sign_seed_keypair(self._seeds[name])
        return bindings.crypto_sign(message, secret)[:64]

    def root(self, start: int, end: int) -> bytes:
        """Return the hash of a range of leaves."""
        if start == end:
            return merkle.EMPTY_ROOT
        if end - start == 1:
            return merkle.leaf_hash(self.leaves[start])
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        return merkle.node_hash(self.root(start, middle), self.root(middle, end))

    def note(self, size: int, at: int, origin: str | None = None, signer: str | None = None) -> str:
        """Return a checkpoint that the log signed."""
        body = checkpoint_body(origin or self.log.name, size, self.root(0, size), at)
        return signed_note(body, self.log, self.sign(signer or self.log.name, body))

    def cosigned(self, note: str, witness: NoteKey, seconds: int) -> str:
        """Return a witness's line."""
        checkpoint: Checkpoint = read_checkpoint(note)
        signature = self.sign(witness.name, cosigned_bytes(checkpoint, seconds))
        return cosignature_line(witness, seconds, signature)


def checkpoints(world: World, people: dict[str, Actor]) -> Cases:
    """Return the cases of checkpoints.json."""
    cases = Cases(
        "Signed notes of the directory's log, witnesses, and going on to newer ones.", world
    )
    directory = Directory(people)
    log, seconds = directory.log, NOW // 1000
    cases.add("a log's key", "checkpoint.key", {"text": log.text})
    name, key_id, encoded = log.text.split("+", 2)
    for what, text in {
        "nothing": "",
        "another's id": f"{name}+00000000+{encoded}",
        "no key": f"{name}+{key_id}+",
        "a name with a space": f"a b+{key_id}+{encoded}",
        "a name with a control character": f"a\x1cb+{key_id}+{encoded}",
        "a name that is not ASCII": f"\xe9+{key_id}+{encoded}",
        "a space that is not ASCII around": f"\x85{log.text}",
        "no name": f"+{key_id}+{encoded}",
        "half a surrogate pair": f"\ud800+{key_id}+{encoded}",
    }.items():
        cases.add(f"malformed: key, {what}", "checkpoint.key", {"text": text}, "malformed")
    note = directory.note(SIZE, NOW)
    lines = [directory.cosigned(note, witness, seconds) for witness in directory.witnesses]
    right: dict[str, Any] = {
        "text": note,
        "log": log.text,
        "witnesses": [witness.text for witness in directory.witnesses],
        "quorum": 0,
    }
    cases.add("a checkpoint", "checkpoint.verify", right)
    two = {**right, "text": note + lines[0] + lines[2], "quorum": 2}
    cases.add("two witnesses of three", "checkpoint.verify", two)
    stranger = directory.key("stranger.example")
    unknown = directory.cosigned(note, stranger, seconds)
    cases.add("a line of a stranger's", "checkpoint.verify", {**right, "text": note + unknown})
    empty = directory.note(0, NOW)
    cases.add("an empty log", "checkpoint.verify", {**right, "text": empty})
    _unsigned(cases, directory, right, note, lines)
    _misread(cases, right, note)
    cases.sweep("every change of a checkpoint", "checkpoint.verify", right, "text")
    _advances(cases, directory)
    for name, at, expect in (
        ("just made", NOW, "ok"),
        ("a day old", NOW + DAY, "ok"),
        ("older than a day", NOW + DAY + 1, "refused:stale-checkpoint"),
        ("more than a day ahead", NOW - DAY - 1, "refused:stale-checkpoint"),
    ):
        given = {"log": log.text, "checkpointAt": NOW, "at": at}
        cases.add(
            name if expect == "ok" else f"{expect}: {name}", "checkpoint.fresh", given, expect
        )
    return cases


def _unsigned(
    cases: Cases, directory: Directory, right: dict[str, Any], note: str, lines: list[str]
) -> None:
    missing = "refused:missing-witness"
    log, seconds = directory.log, NOW // 1000
    impostor = directory.key(directory.witnesses[0].name + ".")
    forged = cosignature_line(directory.witnesses[0], seconds, directory.sign(impostor.name, b""))
    other = directory.note(SIZE - 1, NOW)
    elsewhere = directory.cosigned(other, directory.witnesses[1], seconds)
    own = note.splitlines(keepends=True)[-1]
    body = note[: -len(own)]
    for name, changed, expect in (
        ("one witness too few", {"text": note + lines[0], "quorum": 2}, missing),
        ("one witness twice", {"text": note + lines[0] * 2, "quorum": 2}, missing),
        (
            "a witness's signature is another's",
            {"text": note + lines[0] + forged, "quorum": 2},
            missing,
        ),
        (
            "a witness signed another size",
            {"text": note + lines[0] + elsewhere, "quorum": 2},
            missing,
        ),
        (
            "witnesses nobody knows",
            {"text": note + "".join(lines), "quorum": 1, "witnesses": []},
            missing,
        ),
        (
            "another log",
            {"text": directory.note(SIZE, NOW, "other.example/log")},
            "refused:wrong-log",
        ),
        (
            "another key",
            {"text": directory.note(SIZE, NOW, signer="witness0.example")},
            "signature",
        ),
        (
            "a key that is not pinned",
            {"log": NoteKey(log.name, directory.witnesses[0].public).text},
            "signature",
        ),
        ("nobody of the log", {"text": body + lines[0]}, "signature"),
        ("the log twice", {"text": note + own}, "signature"),
    ):
        cases.add(f"{expect}: {name}", "checkpoint.verify", {**right, **changed}, expect)


def _misread(cases: Cases, right: dict[str, Any], note: str) -> None:
    origin, size, root, time, *_ = note.split("\n")
    rest = note.split("\n\n")[1]

    def made(*lines: str) -> str:
        return "\n".join(lines) + "\n\n" + rest

    for name, text in {
        "nothing": "",
        "no signature": made(origin, size, root, time)[: -len(rest)],
        "no origin": made("", size, root, time),
        "no time": made(origin, size, root),
        "a line more": made(origin, size, root, time, "more"),
        "a size with a zero before": made(origin, "0" + size, root, time),
        "a negative size": made(origin, "-1", root, time),
        "a size in other digits": made(origin, "\u0661", root, time),
        "a size above 2^53 - 1": made(origin, "9007199254740992", root, time),
        "a root of 31 bytes": made(origin, size, "A" * 40 + "AA==", time),
        "a root that is not canonical": made(origin, size, root[:-2] + "B=", time),
        "a time with a sign": made(origin, size, root, "time +1"),
        "lines that end otherwise": note.replace("\n", "\r\n"),
        "a line without its dash": made(origin, size, root, time).replace("\u2014 ", "- "),
        "a signature too short": made(origin, size, root, time)[: -len(rest)] + "\u2014 a AAAA\n",
        "33 signatures": note + rest * 32,
        "too long": note + "\u2014 a " + "A" * 16384 + "\n",
        "half a surrogate pair": made("\ud800", size, root, time),
    }.items():
        cases.add(f"malformed: {name}", "checkpoint.verify", {**right, "text": text}, "malformed")


def _advances(cases: Cases, directory: Directory) -> None:
    def point(size: int, root: bytes | None = None) -> dict[str, Any]:
        return {"size": size, "root": (root or directory.root(0, size)).hex(), "at": NOW}

    def proof(old: int, new: int) -> list[str]:
        return [directory.root(*each).hex() for each in merkle.consistency_ranges(old, new)]

    for old, new in ((0, 5), (1, 2), (4, SIZE), (7, SIZE), (SIZE, SIZE)):
        given = {"known": point(old), "found": point(new), "proof": proof(old, new)}
        cases.add(f"from {old} to {new}", "checkpoint.advance", given)
    right: dict[str, Any] = {"known": point(7), "found": point(SIZE), "proof": proof(7, SIZE)}
    for name, changed, expect in (
        ("a smaller log", {"found": point(6)}, "refused:shrunk-log"),
        ("another root of the same size", {"found": point(7, bytes(32))}, "refused:split-view"),
        ("another root before", {"known": point(7, bytes(32))}, "proof"),
        ("another root after", {"found": point(SIZE, bytes(32))}, "proof"),
        ("a hash too few", {"proof": right["proof"][:-1]}, "proof"),
        ("a hash too many", {"proof": [*right["proof"], right["proof"][0]]}, "proof"),
        ("no proof", {"proof": []}, "proof"),
        ("hashes turned", {"proof": right["proof"][::-1]}, "proof"),
        ("a hash of 31 bytes", {"proof": [right["proof"][0][:-2], *right["proof"][1:]]}, "proof"),
    ):
        cases.add(f"{expect}: {name}", "checkpoint.advance", {**right, **changed}, expect)


def directories(world: World, people: dict[str, Actor]) -> Cases:
    """Return the cases of directory.json."""
    cases = Cases("Bindings of accounts to people, leaves of the log, and their proofs.", world)
    doctor, entropy = people["doctor"], Stream(b"carnet vectors: directory")
    issuer = sodium.SigningKey(SignSeed(entropy(32)))
    for number in ("10001234567", "75000000000001"):
        cases.add(f"register {number}", "binding.professional", {"registerId": number})
    label = professional_label("10001234567")

    def made(
        handle: HandleClass = HandleClass.PROFESSIONAL,
        label: Label32 = label,
        version: int = 1,
        account: AccountId = doctor.id,
        name: str = "registre.example",
        start: int = NOW,
        end: int = NOW + 365 * DAY,
    ) -> bytes:
        unsigned = unsigned_binding(handle, label, version, account, name, start, end)
        signature = issuer.sign(Label.SIGN_BINDING, unsigned)
        if binding_bytes_to_sign(unsigned) != Label.SIGN_BINDING.prefix + unsigned:
            raise AssertionError("what is signed has its label before it")
        return unsigned + signature

    binding = made()
    right: dict[str, Any] = {
        "binding": binding.hex(),
        "label": label.hex(),
        "issuer": "registre.example",
        "issuerKey": issuer.public.hex(),
        "at": NOW + MINUTE,
    }
    cases.add("a binding", "binding.verify", right)
    endless = made(HandleClass.PATIENT, Label32(entropy(32)), 7, end=0)
    given = {**right, "binding": endless.hex(), "label": endless[6:38].hex(), "at": NOW + 10**12}
    cases.add("a binding without end", "binding.verify", given)
    wrong = "refused:wrong-binding"
    for name, changed, expect in (
        ("of another label", {"label": "00" * 32}, wrong),
        ("of another issuer", {"issuer": "other.example"}, wrong),
        ("not yet", {"at": NOW - 1}, wrong),
        ("no longer", {"at": NOW + 365 * DAY + 1}, wrong),
        ("by another key", {"issuerKey": doctor.devices[0].signing.public.hex()}, "signature"),
        (
            "of another account",
            {"binding": (binding[:42] + bytes(32) + binding[74:]).hex()},
            "signature",
        ),
        ("version 0", {"binding": made(version=0).hex()}, "malformed"),
        ("class 5", {"binding": (binding[:5] + b"\x05" + binding[6:]).hex()}, "malformed"),
        ("an issuer's name too long", {"binding": made(name="x" * 129).hex()}, "malformed"),
        ("a byte after its end", {"binding": binding.hex() + "00"}, "malformed"),
        ("another magic", {"binding": (b"CRNA" + binding[4:]).hex()}, "malformed"),
    ):
        cases.add(f"{expect}: {name}", "binding.verify", {**right, **changed}, expect)
    cases.sweep("every change of a binding", "binding.verify", right, "binding")
    _leaves(cases, people, binding, label)
    return cases


def _leaves(cases: Cases, people: dict[str, Actor], binding: bytes, label: Label32) -> None:
    directory, doctor = Directory(people), people["doctor"]
    blind = directory.blind.hex()
    given: dict[str, Any] = {
        "account": doctor.id.hex(),
        "number": 0,
        "entry": doctor.chain[0].hex(),
        "blind": blind,
    }
    leaf = cases.add("a chain's leaf", "leaf.chain", given)
    given = {"label": label.hex(), "version": 1, "binding": binding.hex(), "blind": blind}
    cases.add("a binding's leaf", "leaf.binding", given)
    root = directory.root(0, SIZE).hex()
    for index in (0, 7, SIZE - 1):
        proof = [directory.root(*each).hex() for each in merkle.inclusion_ranges(index, SIZE)]
        hash_ = merkle.leaf_hash(directory.leaves[index]).hex()
        right: dict[str, Any] = {
            "leafHash": hash_,
            "index": index,
            "size": SIZE,
            "proof": proof,
            "root": root,
        }
        cases.add(f"leaf {index} is there", "merkle.inclusion", right)
        if not index and hash_ != leaf["hash"]:
            raise AssertionError("the first leaf is a chain's")
    for name, changed in {
        "at another place": {"index": 0},
        "outside the tree": {"index": SIZE},
        "a tree of another size": {"size": SIZE + 1},
        "another leaf": {"leafHash": leaf["hash"]},
        "another root": {"root": "00" * 32},
        "a hash too few": {"proof": right["proof"][:-1]},
        "a hash too many": {"proof": [*right["proof"], root]},
        "no proof": {"proof": []},
    }.items():
        cases.add(f"proof: {name}", "merkle.inclusion", {**right, **changed}, "proof")
    for old, new in ((0, 0), (0, 3), (3, 7), (6, SIZE), (8, SIZE)):
        given = {
            "old": old,
            "oldRoot": directory.root(0, old).hex(),
            "new": new,
            "newRoot": directory.root(0, new).hex(),
            "proof": [directory.root(*each).hex() for each in merkle.consistency_ranges(old, new)],
        }
        cases.add(f"{old} is the beginning of {new}", "merkle.consistency", given)
