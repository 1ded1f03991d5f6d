"""Vectors of others: Wycheproof, CCTV, speccheck, transparency-dev; and two keys for one text."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from nacl import bindings
from nacl.exceptions import CryptoError

from carnet_crypto import merkle, sodium
from carnet_crypto.admission import admit_box_key, admit_sign_key
from carnet_crypto.errors import Malformed, OpenFailed, ProofFailed, ProtocolError, Refused
from carnet_crypto.secret import attachments
from carnet_crypto.secret.attachments import Opener, sealed_length
from carnet_crypto.secret.content import Manifest
from carnet_crypto.secret.keys import message_keys
from carnet_crypto.values import (
    BoxPublic,
    Digest,
    EpochSecret,
    FileId,
    Key,
    Signature,
    SignPublic,
)

ROOT = Path(__file__).parents[2]
ROOTS_OF_12_BYTES = "sizes-are-equal-one-and-proof-is-empty.json"  # ours have 32, always


@pytest.fixture(scope="module")
def vectors() -> Path:
    """The folder of public vectors. Where CI is set, it has to be there."""
    samples = Path(os.environ.get("CARNET_SAMPLES") or ROOT.parent / "shared" / "data")
    folder = samples / "crypto-vectors"
    if not folder.is_dir():
        message = "no public vectors here: set CARNET_SAMPLES to the folder with crypto-vectors"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


def cases_of(path: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    file = json.loads(path.read_text())
    found = [(group, test) for group in file["testGroups"] for test in group["tests"]]
    assert len(found) == file["numberOfTests"]
    return found


def holds(public: str, message: bytes, signature: str, *, is_admitted: bool = True) -> bool:
    try:
        key = SignPublic(bytes.fromhex(public))
        if is_admitted:
            admit_sign_key(key)
        sodium.verify_plain(key, message, Signature(bytes.fromhex(signature)))
    except ProtocolError:
        return False
    return True


def test_wycheproof_ed25519(vectors: Path) -> None:
    for group, test in cases_of(vectors / "wycheproof_ed25519.json"):
        public, message = group["publicKey"]["pk"], bytes.fromhex(test["msg"])
        is_valid = test["result"] == "valid"
        assert holds(public, message, test["sig"]) is is_valid, test["tcId"]


def test_cctv_ed25519_takes_only_what_all_libraries_take(vectors: Path) -> None:
    cases = json.loads((vectors / "cctv_ed25519vectors.json").read_text())
    assert len(cases) == 914
    flags = Counter[str]()
    unadmitted = 0
    for case in cases:
        message = case["msg"].encode()
        unadmitted += holds(case["key"], message, case["sig"], is_admitted=False)
        if holds(case["key"], message, case["sig"]):
            flags.update(case["flags"] or ["none"])
    assert flags == {"none": 1}
    assert unadmitted == 43  # what libsodium alone would take


def test_speccheck_takes_nothing(vectors: Path) -> None:
    cases = json.loads((vectors / "speccheck_cases.json").read_text())
    assert len(cases) == 12
    taken = [
        number
        for number, case in enumerate(cases)
        if holds(case["pub_key"], bytes.fromhex(case["message"]), case["signature"])
    ]
    alone = [
        number
        for number, case in enumerate(cases)
        if holds(
            case["pub_key"],
            bytes.fromhex(case["message"]),
            case["signature"],
            is_admitted=False,
        )
    ]
    assert (taken, alone) == ([], [3])


def test_wycheproof_x25519_keys_are_admitted_when_they_share_a_secret_and_are_canonical(
    vectors: Path,
) -> None:
    refused = 0
    for _, test in cases_of(vectors / "wycheproof_x25519.json"):
        public = bytes.fromhex(test["public"])
        is_canonical = int.from_bytes(public, "little") < 2**255 - 19
        has_secret = any(bytes.fromhex(test["shared"]))
        try:
            admit_box_key(BoxPublic(public))
        except Refused:
            refused += 1
            assert not is_canonical or not has_secret, test["tcId"]
            continue
        assert is_canonical and has_secret, test["tcId"]
        found = bindings.crypto_scalarmult(bytes.fromhex(test["private"]), public)
        assert found.hex() == test["shared"], test["tcId"]
    assert refused > 30


def test_wycheproof_xchacha20_poly1305(vectors: Path) -> None:
    taken = Counter[bool]()
    for _, test in cases_of(vectors / "wycheproof_xchacha20_poly1305.json"):
        key, nonce, aad, message, ct, tag = (
            bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")
        )
        try:
            opened = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ct + tag, aad, nonce, key)
        except CryptoError:
            opened = None
        is_valid = test["result"] == "valid"
        taken[is_valid] += 1
        assert (opened == message) is is_valid, test["tcId"]
    assert taken[True] and taken[False]


@pytest.mark.parametrize(("kind", "expected"), [("inclusion", 98), ("consistency", 98)])
def test_merkle_proofs(vectors: Path, kind: str, expected: int) -> None:
    paths = sorted((vectors / "merkle" / kind).rglob("*.json"))
    assert len(paths) == expected
    passed = 0
    for path in paths:
        case = json.loads(path.read_text())
        proof = [b64decode(part) for part in case.get("proof") or ()]
        try:
            if kind == "inclusion":
                merkle.verify_inclusion(
                    b64decode(case["leafHash"] or ""),
                    case["leafIdx"],
                    case["treeSize"],
                    proof,
                    b64decode(case["root"] or ""),
                )
            else:
                merkle.verify_consistency(
                    case["size1"],
                    b64decode(case["root1"] or ""),
                    case["size2"],
                    b64decode(case["root2"] or ""),
                    proof,
                )
        except ProofFailed:
            assert case["wantErr"] or path.name == ROOTS_OF_12_BYTES, path
        else:
            assert not case["wantErr"], path
            passed += 1
    assert passed


def test_one_text_for_two_keys_has_one_commitment(vectors: Path) -> None:
    case = json.loads((vectors / "salamander.json").read_text())["xchacha"]
    nonce, aad, ct = (bytes.fromhex(case[name]) for name in ("nonce", "aad", "ct"))
    keys = [bytes.fromhex(case[name]) for name in ("k1", "k2")]
    opened = [
        bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(ct, aad, nonce, key) for key in keys
    ]
    assert [each.hex() for each in opened] == [case["p1"], case["p2"]]
    keyed = bytes(68)
    committing = [message_keys(EpochSecret(key), keyed)[0] for key in keys]
    assert committing[0] != committing[1]


def test_one_file_for_two_keys_opens_under_the_one_it_names(
    vectors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the commitment stands between: both keys open the chunk, digest and all."""
    case = json.loads((vectors / "salamander.json").read_text())["secretstream"]
    header, ct = bytes.fromhex(case["header"]), bytes.fromhex(case["ct"])
    one, other = (Key(bytes.fromhex(case[name])) for name in ("k1", "k2"))
    for key, plain in ((one, case["p1"]), (other, case["p2"])):
        pulled = sodium.PullStream(header, key).pull(ct, b"")
        assert (pulled[0].hex(), pulled[1]) == (plain, True)
    file = FileId(bytes(16))
    blob = attachments.MAGIC + file + attachments._commitment(one, file, header) + header + ct
    length = len(ct) - 17 - 1
    assert sealed_length(length) == len(blob)
    monkeypatch.setattr(attachments, "derive", _stream_key(attachments.derive))
    monkeypatch.setattr(attachments, "_place", lambda file, index: b"")
    for key, is_named in ((one, True), (other, False)):
        manifest = Manifest(
            file, key, header, len(blob), _digest(blob), length, "a.pdf", "application/pdf", 0
        )
        opener = Opener(manifest)
        if is_named:  # it opens as far as its padding, which is not ours
            opener._check_padding = lambda padding: None  # type: ignore[method-assign]
            assert opener.push(blob).hex() == case["p1"][: 2 * length]
        else:
            with pytest.raises(OpenFailed):
                opener.push(blob)


def _digest(blob: bytes) -> Digest:
    hasher = attachments.new_hasher()
    hasher.update(blob)
    return Digest(hasher.digest())


def _stream_key(right: Any) -> Any:
    """Let a file's key be its stream's key, as the vector's are."""

    def derive(key: Key, label: Any, info: bytes) -> Key:
        return key if label is attachments.Label.FILE else right(key, label, info)

    return derive


@pytest.mark.parametrize("length", [0, 3, 5, 31, 33, 64])
def test_no_key_of_another_length_reaches_a_primitive(length: int) -> None:
    for kind in (SignPublic, BoxPublic, Key, EpochSecret):
        with pytest.raises(Malformed):
            kind(bytes(length))
    with pytest.raises(Malformed):
        Signature(bytes(63))
    for data in (bytearray(32), memoryview(bytes(32)), "x" * 32):
        with pytest.raises(Malformed):
            SignPublic(data)  # type: ignore[arg-type]
