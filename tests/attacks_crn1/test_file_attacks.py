"""T39, T56-T59: files cut, mixed up, sealed under two keys, and named to do harm."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from correspondents import NOW
from honest_client import HonestClient, meet

from carnet_crypto.errors import OpenFailed
from carnet_crypto.hashing import derive
from carnet_crypto.labels import Label
from carnet_crypto.padding import padded_length
from carnet_crypto.secret.attachments import (
    CHUNK,
    MAGIC,
    PREFIX,
    SEALED_CHUNK,
    Opener,
    new_hasher,
    sealed_length,
)
from carnet_crypto.secret.content import Attachments, Manifest
from carnet_crypto.secret.filenames import MOST_BYTES, safe_name
from carnet_crypto.secret.happenings import Shown
from carnet_crypto.sodium import PullStream, PushStream
from carnet_crypto.values import Digest, FileId, Key
from carnet_crypto.wire import u64

VECTORS = json.loads((Path(__file__).parent / "salamander.json").read_text())
SCAN = bytes(range(256)) * 1200  # of five chunks


def opened(manifest: Manifest, blob: bytes, piece: int = 70_001) -> bytes:
    opener = Opener(manifest)
    data = b"".join(opener.push(blob[at : at + piece]) for at in range(0, len(blob), piece))
    opener.finish()
    return data


def refuses(manifest: Manifest, blob: bytes) -> bool:
    for piece in (70_001, len(blob) or 1, 1000):
        try:
            opened(manifest, blob, piece)
        except OpenFailed:
            continue
        return False
    return True


def fitted(manifest: Manifest, blob: bytes) -> Manifest:
    """Return a manifest that names these very bytes, as a lying member would write it."""
    hasher = new_hasher()
    hasher.update(blob)
    return replace(manifest, sealed_digest=Digest(hasher.digest()), sealed_bytes=len(blob))


def sealed(key: Key, file: FileId, header: bytes, chunks: list[tuple[bytes, int, bool]]) -> bytes:
    """Return a blob of any chunks: their bytes, the place they are bound to, whether final."""
    stream = PushStream(header, derive(key, Label.FILE, file))
    blob = MAGIC + file + derive(key, Label.FILE_COMMITMENT, file + header) + header
    for data, index, is_final in chunks:
        place = Label.CHUNK.prefix + file + u64(index)
        blob += stream.push(data, place, is_final=is_final)
    return blob


def test_t39_salamander_attachment() -> None:
    found = VECTORS["secretstream"]
    ct, header = bytes.fromhex(found["ct"]), bytes.fromhex(found["header"])
    for key, plain in (("k1", "p1"), ("k2", "p2")):
        stream = PullStream(header, Key(bytes.fromhex(found[key])))
        assert stream.pull(ct, b"") == (bytes.fromhex(found[plain]), True)  # it does not commit
    met = meet()
    manifest = met.doctor.upload(SCAN)
    blob = met.relay.blobs[manifest.file]
    assert opened(manifest, blob) == SCAN
    # The same bytes are never a file under a second key: they begin with the first's commitment.
    other = Key(b"o" * 32)
    second = replace(manifest, key=other)
    assert refuses(second, blob)
    commitment = derive(other, Label.FILE_COMMITMENT, manifest.file + manifest.stream_header)
    at = len(MAGIC) + FileId.SIZE
    changed = blob[:at] + commitment + blob[at + 32 :]
    assert refuses(fitted(second, changed), changed)
    assert refuses(fitted(manifest, changed), changed)
    assert refuses(manifest, changed)


def test_t56_chunks() -> None:
    met = meet()
    manifest = met.doctor.upload(SCAN)
    blob = met.relay.blobs[manifest.file]
    starts = list(range(PREFIX, len(blob), SEALED_CHUNK))
    assert len(starts) == 5
    chunks = [blob[at : at + SEALED_CHUNK] for at in starts]
    begin = blob[:PREFIX]
    for at in range(5):
        rest = chunks[:at] + chunks[at + 1 :]
        doubled = [*chunks[: at + 1], *chunks[at:]]
        for lie in (rest, doubled, chunks[:at]):
            whole = begin + b"".join(lie)
            assert refuses(manifest, whole) and refuses(fitted(manifest, whole), whole)
    for one, other in ((0, 1), (1, 3), (3, 4)):
        mixed = list(chunks)
        mixed[one], mixed[other] = mixed[other], mixed[one]
        whole = begin + b"".join(mixed)
        assert refuses(manifest, whole) and refuses(fitted(manifest, whole), whole)
    for more in (b"\x00", chunks[0], chunks[4]):
        assert refuses(manifest, blob + more) and refuses(
            fitted(manifest, blob + more), blob + more
        )
    for length in (*range(0, PREFIX + 2), *starts, *(at + 17 for at in starts), len(blob) - 1):
        assert refuses(manifest, blob[:length])
        assert refuses(fitted(manifest, blob[:length]), blob[:length])
    for at in (0, 5, 9, 30, 60, PREFIX, starts[2], starts[3] - 1, len(blob) - 1):
        flipped = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        assert refuses(manifest, flipped) and refuses(fitted(manifest, flipped), flipped)
    assert opened(manifest, blob) == SCAN


def test_t56_final_marks_and_padding() -> None:
    key, file, header = Key(b"k" * 32), FileId(b"f" * 16), b"h" * 24
    data = b"words" * 30_000
    padding = b"\x80" + bytes(padded_length(len(data)) - len(data) - 1)
    plain = data + padding
    parts = [plain[at : at + CHUNK] for at in range(0, len(plain), CHUNK)]
    last = len(parts) - 1

    def manifest_of(blob: bytes, length: int = len(data)) -> Manifest:
        made = Manifest(file, key, header, len(blob), Digest.zero(), length, "a", "b", NOW)
        return fitted(made, blob)

    honest = [(part, at, at == last) for at, part in enumerate(parts)]
    blob = sealed(key, file, header, honest)
    assert len(blob) == sealed_length(len(data))
    assert opened(manifest_of(blob), blob) == data
    lies = [
        [(part, at, False) for at, part in enumerate(parts)],  # none is final
        [(part, at, at >= 1) for at, part in enumerate(parts)],  # one is, before the last
        [(part, at + 1, at == last) for at, part in enumerate(parts)],  # bound to other places
        [*honest[:-1], (parts[last][:-1] + b"\x01", last, True)],  # padding that is none
        [*honest[:-1], (parts[last].replace(b"\x80", b"\x00"), last, True)],
    ]
    for lie in lies:
        blob = sealed(key, file, header, lie)
        assert refuses(manifest_of(blob), blob)
    blob = sealed(key, file, header, honest)
    for length in (len(data) - 1, len(data) + 1, 0, len(plain)):
        assert refuses(manifest_of(blob, length), blob)
    # Tags that libsodium knows and we do not write.
    from nacl import bindings

    for tag in (1, 2):
        stream = bindings.crypto_secretstream_xchacha20poly1305_state()
        secret = derive(key, Label.FILE, file)
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(stream, header, secret)
        sent = bindings.crypto_secretstream_xchacha20poly1305_push(stream, b"x", b"", tag)
        with pytest.raises(OpenFailed):
            PullStream(header, secret).pull(sent, b"")


def test_t57_blob_substitution(tmp_path: Path) -> None:
    met = meet()
    one, other = met.doctor.upload(b"the x-ray" * 500), met.doctor.upload(b"the bill " * 500)
    met.doctor.send(met.thread, Attachments("both", (one, other)))
    (shown,) = met.patient.read(met.thread)
    assert isinstance(shown, Shown) and isinstance(shown.content, Attachments)
    blobs = met.relay.blobs
    blobs[one.file], blobs[other.file] = blobs[other.file], blobs[one.file]
    for manifest in shown.content.files:
        with pytest.raises(OpenFailed):
            met.patient.save(manifest, tmp_path)
    assert list(tmp_path.iterdir()) == []
    # The head of one with the chunks of the other.
    mixed = blobs[other.file][:PREFIX] + blobs[one.file][PREFIX:]
    assert refuses(one, mixed) and refuses(fitted(one, mixed), mixed)
    # A member who sealed two files under one name and key cannot show one to each either.
    changed = replace(one, sealed_digest=other.sealed_digest)
    assert refuses(changed, blobs[other.file]) and refuses(changed, blobs[one.file])


NAMES = {
    "scan.pdf": "scan.pdf",
    "../../etc/passwd": "_._etc_passwd",
    "/etc/passwd": "_etc_passwd",
    "..\\..\\windows\\system.ini": "_.._windows_system.ini",
    "C:\\autoexec.bat": "C__autoexec.bat",
    "": "file",
    "...": "file",
    ".bashrc": "bashrc",
    "a\x00b\n.txt": "ab.txt",
    "gpj.exe\N{RIGHT-TO-LEFT OVERRIDE}fdp.scr": "gpj.exefdp.scr",
    "photo\N{ZERO WIDTH SPACE}.jpg\N{LEFT-TO-RIGHT MARK}": "photo.jpg",
    "CON": "_CON",
    "nul.txt": "_nul.txt",
    "com1.tar.gz": "_com1.tar.gz",
    "a\N{NO-BREAK SPACE}  b.txt ": "a b.txt",
    "\ud800.txt": "txt",
    "Ordonnance été.pdf": "Ordonnance été.pdf",
}


def test_t58_names(tmp_path: Path) -> None:
    for name, safe in NAMES.items():
        assert safe_name(name) == safe, name
        assert safe_name(safe) == safe
    long = safe_name("é" * 5000 + ".pdf")
    assert long.endswith("é.pdf") and len(long.encode()) <= MOST_BYTES
    assert len(safe_name("x." + "y" * 5000).encode()) <= MOST_BYTES
    # A name is in the signed body: nobody else changes it, and nothing of it is outside.
    met = meet()
    name = "../results of the HIV test\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe"
    manifest = met.doctor.upload(b"words", name)
    met.doctor.send(met.thread, Attachments("", (manifest,)))
    served = [*met.relay.threads[met.thread].envelopes, *met.relay.blobs.values()]
    assert not any(b"HIV" in data or b"application/pdf" in data for data in served)
    (shown,) = met.patient.read(met.thread)
    assert isinstance(shown, Shown) and isinstance(shown.content, Attachments)
    for number in range(3):
        saved = met.patient.save(shown.content.files[0], tmp_path)
        assert saved.parent == tmp_path and saved.read_bytes() == b"words"
        assert len(list(tmp_path.iterdir())) == number + 1


def test_t59_plaintext_release(tmp_path: Path) -> None:
    met = meet()
    manifest = met.doctor.upload(SCAN)
    honest = met.relay.blobs[manifest.file]
    target: HonestClient = met.patient
    for bad in (
        honest[:-1],
        honest[:-1] + bytes([honest[-1] ^ 1]),
        honest[: PREFIX + SEALED_CHUNK],
        honest + b"x",
        b"",
    ):
        met.relay.blobs[manifest.file] = bad
        opener = Opener(manifest)
        with pytest.raises(OpenFailed):  # chunks that held were given out, and no word of an end
            for at in range(0, len(bad), 1000):
                opener.push(bad[at : at + 1000])
            opener.finish()
        with pytest.raises(OpenFailed):
            target.save(manifest, tmp_path)
        assert list(tmp_path.iterdir()) == []
    met.relay.blobs[manifest.file] = honest
    assert target.save(manifest, tmp_path).read_bytes() == SCAN
