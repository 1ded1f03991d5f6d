"""Cases of messages: envelopes, headers, bodies of every kind, and files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vector_cases import Cases
from vector_people import CHECKPOINT, DAY, MINUTE, NOW, Actor, Log, Stream
from vector_world import World

from carnet_crypto import sodium
from carnet_crypto.envelope import read_envelope
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.padding import pad
from carnet_crypto.secret import content
from carnet_crypto.secret.attachments import CHUNK, FileFacts, Sealer
from carnet_crypto.secret.header import Kind, read_header, sealed_header
from carnet_crypto.secret.keys import DeviceKeys, body_key, message_keys
from carnet_crypto.secret.messages import Draft, seal
from carnet_crypto.values import (
    AccountId,
    DeviceId,
    Digest,
    EpochSecret,
    FileId,
    Key,
    MessageId,
    Salt,
    Signature,
)
from carnet_crypto.wire import opaque

AT = NOW + 20 * MINUTE
OTHER = MessageId(b"\x0b" * 32)
CHAINS = ["doctor", "patient"]


def make_contents() -> dict[str, content.Content]:
    """Return a body of every kind."""
    file = make_file(b"a small file", Stream(b"carnet vectors: a file in a body"))[1]
    return {
        "text": content.Text("Bonjour, à demain. 💊"),
        "empty text": content.Text(""),
        "text for another": content.Text("for the team", AccountId(b"\x0a" * 32)),
        "the longest text": content.Text("é" * (content.MOST_TEXT // 2)),
        "files": content.Attachments("two", (file, replace(file, file=FileId(b"\x01" * 16)))),
        "receipt": content.Receipt((content.Seen(DeviceId(b"\x01" * 16), 7),)),
        "empty receipt": content.Receipt(()),
        "acknowledgement": content.Acknowledgement(OTHER, content.Verdict.AGREED, "seen"),
        "edit": content.Edit(OTHER, "other words"),
        "retraction": content.Retraction(OTHER, content.RetractionReason.MISTAKE),
        "system": content.System(content.SystemCode.HANDOVER, AccountId(b"\x0c" * 32), "until 8"),
        "complaint": content.Complaint(content.ComplaintAbout.WRAP, Digest(b"\x0d" * 32)),
    }


def bodies(world: World) -> Cases:
    """Return the cases of bodies.json."""
    cases = Cases("What messages say: bodies of every kind, before their padding.", world)
    for name, said in make_contents().items():
        given = {"kind": said.KIND.value, "body": content.encode_content(said).hex()}
        cases.add(name, "content.read", given)
    body = content.encode_content
    text = body(content.Text("words"))
    seen = body(content.Receipt((content.Seen(DeviceId(b"\x01" * 16), 7),)))
    agreed = body(content.Acknowledgement(OTHER, content.Verdict.AGREED, ""))
    taken = body(content.Retraction(OTHER, content.RetractionReason.MISTAKE))
    file = make_file(b"", Stream(b"carnet vectors: an empty file"))[1]
    long = text[:34] + (content.MOST_TEXT + 1).to_bytes(4, "big") + b"x" * (content.MOST_TEXT + 1)
    for name, kind, data in (
        ("nothing", 1, b""),
        ("another version", 1, b"\x02" + text[1:]),
        ("another kind than the header's", 5, text),
        ("kind 9", 1, b"\x01\x09" + text[2:]),
        ("a byte after its end", 1, text + b"\x00"),
        ("cut", 1, text[:-1]),
        ("U+0000", 1, text[:-1] + b"\x00"),
        ("half a surrogate pair", 1, text[:-3] + b"\xed\xa0\x80"),
        ("Latin-1", 1, text[:-1] + b"\xe9"),
        ("a text too long", 1, long),
        ("a verdict that there is not", 4, agreed[:34] + b"\x04" + agreed[35:]),
        ("a reason that there is not", 6, taken[:34] + b"\x00" + taken[35:]),
        ("a sequence above 2^53 - 1", 3, seen[:-8] + b"\x00\x20" + bytes(6)),
        ("files without a file", 2, body(content.Attachments("", ()))),
        ("a file twice", 2, body(content.Attachments("", (file, file)))),
        ("17 files", 2, body(content.Attachments("", tuple(_named(file, n) for n in range(17))))),
    ):
        cases.add(
            f"malformed: {name}", "content.read", {"kind": kind, "body": data.hex()}, "malformed"
        )
    return cases


def _named(file: content.Manifest, number: int) -> content.Manifest:
    return replace(file, file=FileId(bytes([number]) * 16))


class Scene:
    """A thread, and who writes in it."""

    def __init__(self, people: dict[str, Actor], log: Log) -> None:
        self.doctor, self.patient, self.nurse = (
            people[name] for name in ("doctor", "patient", "nurse")
        )
        self.log = log
        self.entropy = Stream(b"carnet vectors: messages")
        self.thread = log.thread
        self.secret = log.secrets[self.thread.epoch.number]

    def draft(self, said: content.Content, **changes: Any) -> Draft:
        """Return a message of the doctor's."""
        draft = Draft(
            thread=self.thread.id,
            epoch=self.thread.epoch.number,
            account=self.doctor.id,
            sequence=1,
            previous=MessageId.zero(),
            control_head=self.thread.head,
            heads=(),
            checkpoint=CHECKPOINT,
            sent_at=AT,
            content=said,
        )
        return replace(draft, **changes)

    def seal(
        self, draft: Draft, keys: DeviceKeys | None = None, secret: EpochSecret | None = None
    ) -> bytes:
        """Return its envelope."""
        keys = keys or self.doctor.devices[0]
        return seal(draft, secret or self.secret, keys, self.entropy)[0]

    def given(self, envelope: bytes, **changes: Any) -> dict[str, Any]:
        """Return what opening takes."""
        return {
            "envelope": envelope.hex(),
            "secret": self.secret.hex(),
            "chains": CHAINS,
            **changes,
        }


def messages(world: World, people: dict[str, Actor], logs: dict[str, Log]) -> Cases:
    """Return the cases of messages.json."""
    cases = Cases("Envelopes: their outer layout, and messages opened with all their keys.", world)
    scene = Scene(people, logs["care"])
    for name, said in make_contents().items():
        if name == "the longest text":
            continue
        envelope = scene.seal(scene.draft(said))
        cases.add(f"{name}: outside", "envelope.read", {"envelope": envelope.hex()})
        cases.add(f"{name}: opened", "message.open", scene.given(envelope))
    said = content.Text("words")
    heads = tuple(MessageId(bytes([number]) * 32) for number in (4, 1, 3, 2))
    later = scene.draft(said, sequence=2, previous=OTHER, heads=heads, expires_at=AT + DAY)
    envelope = scene.seal(later)
    cases.add("a later one, with four heads and an expiry", "message.open", scene.given(envelope))
    erased = read_envelope(envelope).erased()
    cases.add("its body erased: outside", "envelope.read", {"envelope": erased.hex()})
    cases.add("its body erased: opened", "message.open", scene.given(erased))
    patient = scene.seal(scene.draft(said, account=scene.patient.id), scene.patient.devices[2])
    cases.add("the patient's", "message.open", scene.given(patient))
    revoked = scene.seal(scene.draft(said, account=scene.patient.id), scene.patient.devices[1])
    cases.add(
        "a revoked device's, which only a transcript judges", "message.open", scene.given(revoked)
    )
    _outside(cases, envelope, erased)
    _unopened(cases, scene, envelope)
    _headers(cases, scene)
    plain = scene.seal(scene.draft(said))
    cases.sweep("every change of a message", "message.open", scene.given(plain), "envelope")
    erased = read_envelope(plain).erased()
    cases.sweep(
        "every change of an erased message", "message.open", scene.given(erased), "envelope"
    )
    return cases


def _outside(cases: Cases, envelope: bytes, erased: bytes) -> None:
    length = len(envelope) - len(erased)
    for name, data in {
        "nothing": b"",
        "another magic": b"CRN2" + envelope[4:],
        "type 2": envelope[:4] + b"\x02" + envelope[5:],
        "suite 0": envelope[:5] + b"\x00" + envelope[6:],
        "suite 2": envelope[:5] + b"\x02" + envelope[6:],
        "a flag": envelope[:7] + b"\x01" + envelope[8:],
        "epoch 0": envelope[:40] + bytes(4) + envelope[44:],
        "a byte after its end": envelope + b"\x00",
        "cut": envelope[:-1],
        "a header one byte short": erased[:108]
        + (527).to_bytes(4, "big")
        + erased[112:639]
        + bytes(4),
        "a header one byte longer": erased[:108]
        + (529).to_bytes(4, "big")
        + erased[112:640]
        + bytes(5),
        "a body of 255 bytes": erased[:-4] + opaque(bytes(48 + 255)),
        "a body of 257 bytes": erased[:-4] + opaque(bytes(48 + 257)),
        "a body that is only its salt": erased[:-4] + opaque(bytes(32)),
        "a body of 64 KiB and more": erased[:-4] + opaque(bytes(48 + 65536 + 4096)),
        "nothing but a body's length": erased[:-4] + length.to_bytes(4, "big"),
    }.items():
        cases.add(f"malformed: {name}", "envelope.read", {"envelope": data.hex()}, "malformed")


def _unopened(cases: Cases, scene: Scene, envelope: bytes) -> None:
    said = content.Text("words")
    first, care = scene.log.secrets[1], scene.thread
    elsewhere = envelope[:8] + bytes(32) + envelope[40:]
    stranger = scene.seal(scene.draft(said), scene.nurse.devices[0])
    claimed = scene.seal(scene.draft(said, account=scene.patient.id))
    forged = _sealed(scene, signer=scene.nurse.devices[0])
    moved = _sealed(scene, signed_for=care.id[:31] + b"\x00")
    for name, given in {
        "with another epoch's secret": scene.given(envelope, secret=first.hex()),
        "in another thread": scene.given(elsewhere),
        "in another epoch": scene.given(envelope[:43] + b"\x01" + envelope[44:]),
        "of nobody whose chain is there": scene.given(envelope, chains=["patient"]),
        "by a device of another account": scene.given(stranger),
        "in another account's name": scene.given(claimed),
        "signed by another device": scene.given(forged),
        "signed for another thread": scene.given(moved),
        "a commitment to another key": scene.given(_committed(envelope)),
        "a body of another message": scene.given(
            read_envelope(envelope).erased()[:-4] + opaque(read_envelope(stranger).body)
        ),
        "a body that is not the header's kind": scene.given(_sealed(scene, kind=Kind.EDIT)),
        "a body padded too long": scene.given(_sealed(scene, padding=512)),
        "a body's digest of something else": scene.given(_sealed(scene, digest_=Digest.zero())),
        "a header that is none": scene.given(_sealed(scene, header=bytes(512))),
    }.items():
        cases.add(f"open: {name}", "message.open", given, "open")


def _committed(envelope: bytes) -> bytes:
    return envelope[:76] + bytes(32) + envelope[108:]


def _sealed(
    scene: Scene,
    *,
    signer: DeviceKeys | None = None,
    signed_for: bytes | None = None,
    kind: Kind = Kind.TEXT,
    padding: int = 256,
    digest_: Digest | None = None,
    header: bytes | None = None,
) -> bytes:
    """Return a message that is right in all but one thing, as a member could make it."""
    plain = content.encode_content(content.Text("words"))
    whole = scene.seal(scene.draft(content.Text("words")))[:108]
    _, header_key, key = message_keys(scene.secret, whole[8:76])
    salt = Salt(scene.entropy(32))
    body = sodium.encrypt(body_key(key, salt), pad(plain, padding), whole + b"B")
    kept = read_header(_opened_header(scene, scene.seal(scene.draft(content.Text("words")))))[0]
    made = replace(kept, kind=kind, body=digest_ or digest(Label.BODY, salt, body))
    start = whole if signed_for is None else whole[:8] + signed_for + whole[40:]
    keys = signer or scene.doctor.devices[0]
    signature = keys.signing.sign(Label.SIGN_MESSAGE, start + made.unsigned)
    padded = sealed_header(made.unsigned, signature) if header is None else header
    sealed = sodium.encrypt(header_key, padded, whole + b"H")
    return whole + opaque(sealed) + opaque(salt + body)


def _opened_header(scene: Scene, envelope: bytes) -> bytes:
    _, header_key, _ = message_keys(scene.secret, envelope[8:76])
    return sodium.decrypt(header_key, envelope[112:640], envelope[:108] + b"H")


def _headers(cases: Cases, scene: Scene) -> None:
    said = content.Text("words")
    plain = _opened_header(scene, scene.seal(scene.draft(said)))
    later = scene.draft(said, sequence=2, previous=OTHER, heads=(OTHER, MessageId(b"\x0a" * 32)))
    heads = _opened_header(scene, scene.seal(later))
    cases.add("a header", "header.read", {"header": plain.hex()})
    cases.add("a header with heads", "header.read", {"header": heads.hex()})
    header = read_header(plain)[0]
    five = replace(header, heads=tuple(MessageId(bytes([n]) * 32) for n in range(5)))
    for name, data in {
        "511 bytes": plain[:-1],
        "513 bytes": plain + b"\x00",
        "another version": b"\x02" + plain[1:],
        "sequence 0": plain[:49] + bytes(8) + plain[57:],
        "something before the first": plain[:57] + b"\x01" * 32 + plain[89:],
        "nothing before a later one": heads[:57] + bytes(32) + heads[89:],
        "five heads": sealed_header(five.unsigned, Signature.zero()),
        "heads out of their order": heads[:122] + heads[154:186] + heads[122:154] + heads[186:],
        "a head twice": heads[:122] + heads[122:154] * 2 + heads[186:],
        "kind 0": plain[:170] + b"\x00" + plain[171:],
        "kind 9": plain[:170] + b"\x09" + plain[171:],
        "no mark": plain.rstrip(b"\x00")[:-1].ljust(512, b"\x00"),
        "a mark too many": plain.rstrip(b"\x00")
        + b"\x80"
        + bytes(512 - len(plain.rstrip(b"\x00")) - 1),
        "all zeros": bytes(512),
    }.items():
        cases.add(f"malformed: header, {name}", "header.read", {"header": data.hex()}, "malformed")


def make_file(data: bytes, entropy: Stream) -> tuple[bytes, content.Manifest]:
    """Return a file's blob, and what a message says of it."""
    sealer = Sealer(len(data), entropy)
    blob = sealer.begin + sealer.push(data)
    rest, manifest = sealer.finish(FileFacts("radio du genou.pdf", "application/pdf", AT))
    return blob + rest, manifest


def files(world: World) -> Cases:
    """Return the cases of files.json."""
    cases = Cases("Files: blobs of one and two chunks, and what of them never opens.", world)
    for length in (0, 1, 100, CHUNK - 1, CHUNK, 10**6, 10**9):
        cases.add(f"a file of {length} bytes", "file.length", {"length": length})
    entropy = Stream(b"carnet vectors: files")
    for name, data in (
        ("empty", b""),
        ("small", b"a small file"),
        ("of zeros", bytes(100)),
    ):
        blob, manifest = make_file(data, entropy)
        cases.add(f"a file {name}", "file.open", _file(blob, manifest))
    _spoilt(cases, *make_file(b"a small file", entropy))
    blob, manifest = make_file(b"", entropy)
    cases.sweep("every change of a blob", "file.open", _file(blob, manifest), "blob")
    _chunks(cases, entropy)
    return cases


def _file(blob: bytes, manifest: content.Manifest) -> dict[str, str]:
    return {"blob": blob.hex(), "manifest": manifest.encode().hex()}


def _spoilt(cases: Cases, blob: bytes, manifest: content.Manifest) -> None:
    for name, changed in {
        "another key": replace(manifest, key=Key(bytes(32))),
        "another file's id": replace(manifest, file=FileId(bytes(16))),
        "another stream header": replace(manifest, stream_header=bytes(24)),
        "another length": replace(manifest, plain_bytes=manifest.plain_bytes + 1),
        "a length of another class": replace(manifest, plain_bytes=100),
        "another blob's length": replace(manifest, sealed_bytes=manifest.sealed_bytes + 1),
        "another blob's digest": replace(manifest, sealed_digest=Digest.zero()),
    }.items():
        cases.add(f"open: {name}", "file.open", _file(blob, changed), "open")
    given = {**_file(blob, manifest), "manifest": manifest.encode().hex() + "00"}
    cases.add("malformed: a manifest and a byte", "file.open", given, "malformed")


def _chunks(cases: Cases, entropy: Stream) -> None:
    """Chunks dropped, turned, repeated or ended otherwise: each under the right digest."""
    length = 2 * CHUNK + 100
    right: dict[str, Any] = {
        "key": entropy(32).hex(),
        "file": entropy(16).hex(),
        "streamHeader": entropy(24).hex(),
        "plainBytes": length,
        "fill": "61",
        "tail": "80",
        "finals": [False, False, True],
        "order": [0, 1, 2],
    }
    cases.add("a file of three chunks", "file.assembled", right)
    cases.add(
        "a file of two chunks",
        "file.assembled",
        {**right, "plainBytes": CHUNK, "finals": [False, True], "order": [0, 1]},
    )
    for name, changed in {
        "a chunk dropped": {"order": [0, 2]},
        "two chunks turned": {"order": [1, 0, 2]},
        "a chunk twice": {"order": [0, 0, 2]},
        "cut at a chunk's end": {"order": [0, 1]},
        "something after the last": {"order": [0, 1, 2, 1]},
        "the last chunk twice": {"order": [0, 1, 2, 2]},
        "no chunk is the last": {"finals": [False, False, False]},
        "another is the last too": {"finals": [False, True, True]},
        "all are the last": {"finals": [True, True, True]},
        "no mark": {"tail": ""},
        "something after the mark": {"tail": "8001"},
        "another mark": {"tail": "81"},
    }.items():
        cases.add(f"open: {name}", "file.assembled", {**right, **changed}, "open")
