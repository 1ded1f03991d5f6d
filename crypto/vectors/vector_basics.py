"""Cases of what everything else is made of: texts, fields, padding, labels, keys."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from vector_cases import Cases
from vector_people import Stream
from vector_world import World

from carnet_crypto import sodium
from carnet_crypto.labels import CONTEXT, Label
from carnet_crypto.values import BoxSecret, Key, SignSeed

ORDER = 2**252 + 27742317777372353535851937790883648493
FIELD = 2**255 - 19


def labels() -> dict[str, Any]:
    """Return the registry: labels.json."""
    return {
        "about": "Every label. What is hashed, derived, signed or sealed begins with the context,"
        " a label and one zero byte.",
        "context": CONTEXT,
        "labels": {label.name: label.value for label in Label},
    }


def encoding(world: World) -> Cases:
    """Return the cases of encoding.json."""
    cases = Cases("Canonical base64url, and the fields that layouts are made of.", world)
    for data in ("", "00", "fb", "fbff", "fbfffe", "0001020304"):
        cases.add(f"bytes {data}", "base64url.encode", {"bytes": data})
    for text in ("", "AA", "-_8", "AAEC", "____"):
        cases.add(f"text {text!r}", "base64url.decode", {"text": text})
    for text in (
        "A",
        "AAAAA",
        "AB",
        "AAF",
        "AA==",
        "AA=",
        "+/8",
        "AA\n",
        " AA",
        "A A",
        "ÀA",
        "A\x00A",
        "\ud800",
    ):
        cases.add(f"malformed: text {text!a}", "base64url.decode", {"text": text}, "malformed")
    for name, fields, data in (
        ("numbers", ["u8", "u16", "u32", "u64"], "ff" + "ffff" + "ffffffff" + "001fffffffffffff"),
        ("a flag", ["flag", "flag"], "0001"),
        ("bytes of two lengths", ["opaque", "opaque"], "00000000" + "00000002abcd"),
        ("the longest bytes", ["opaque"], "00000010" + "00" * 16),
        ("text", ["text"], "00000006" + "é€".encode().hex() + "7f"),
        ("text beyond the BMP", ["text"], "00000004f09f9293"),
        ("text with a byte order mark", ["text"], "00000004efbbbf61"),
        ("a list", ["list"], "0003010203"),
        ("an empty list", ["list"], "0000"),
        ("a digest", ["digest"], "ab" * 32),
    ):
        cases.add(name, "fields.read", {"fields": fields, "bytes": data})
    for name, fields, data in (
        ("2^53", ["u64"], "0020000000000000"),
        ("2^64 - 1", ["u64"], "ff" * 8),
        ("a flag of 2", ["flag"], "02"),
        ("nothing", ["u8"], ""),
        ("half a number", ["u32"], "000000"),
        ("a byte left", ["u8"], "0000"),
        ("bytes too long for their field", ["opaque"], "00000011" + "00" * 17),
        ("bytes that are not there", ["opaque"], "00000002ab"),
        ("a length of 2^32 - 1", ["opaque"], "ffffffff"),
        ("a list too long", ["list"], "0005" + "00" * 5),
        ("a list that ends too early", ["list"], "00020a"),
        ("a digest of 31 bytes", ["digest"], "ab" * 31),
        ("text with U+0000", ["text"], "00000003610062"),
        ("text in Latin-1", ["text"], "00000001e9"),
        ("an overlong character", ["text"], "00000002c0af"),
        ("half a surrogate pair", ["text"], "00000003eda080"),
        ("a surrogate pair as UTF-8", ["text"], "00000006eda081edb080"),
        ("a character cut off", ["text"], "00000002e282"),
        ("above U+10FFFF", ["text"], "00000004f4908080"),
    ):
        given = {"fields": fields, "bytes": data}
        cases.add(f"malformed: {name}", "fields.read", given, "malformed")
    return cases


def padding(world: World) -> Cases:
    """Return the cases of padding.json."""
    cases = Cases("Padding: 0x80, zeros, and Padmé's lengths.", world)
    for length in (
        0,
        1,
        2,
        7,
        8,
        9,
        100,
        127,
        128,
        255,
        256,
        257,
        300,
        1000,
        2000,
        20000,
        65536,
        10**6,
        10**9,
        2**40 + 1,
    ):
        cases.add(f"length {length}", "padding.length", {"length": length, "least": 0})
    for length in (0, 1, 254, 255, 256, 257, 48 * 1024):
        cases.add(f"length {length} of a body", "padding.length", {"length": length, "least": 256})
    for content, least in (("", 0), ("", 16), ("80", 0), ("00", 0), ("8000", 8), ("ab" * 40, 0)):
        out = cases.add(
            f"{content[:8]} {least}", "padding.pad", {"content": content, "least": least}
        )
        given = {"padded": out["padded"], "least": least}
        cases.add(f"{content[:8]} {least} again", "padding.unpad", given)
    for name, padded, least in (
        ("nothing", "", 0),
        ("zeros", "00" * 16, 0),
        ("no mark", "61" * 16, 0),
        ("something after the mark", "6180000001", 0),
        ("a zero too many", "618000", 0),
        ("longer than the least", "6180" + "00" * 15, 16),
        ("shorter than the least", "6180" + "00" * 13, 16),
        ("a length of no class", "ab" * 256 + "80", 256),
    ):
        given = {"padded": padded, "least": least}
        cases.add(f"malformed: {name}", "padding.unpad", given, "malformed")
    return cases


def keys(world: World) -> Cases:
    """Return the cases of keys.json."""
    cases = Cases(
        "Digests, derived keys, signatures, sealed boxes, and keys nobody may use.", world
    )
    entropy = Stream(b"carnet vectors: keys")
    for label in Label:
        cases.add(f"digest under {label.name}", "digest", {"label": label.value, "data": "616263"})
    key = entropy(32).hex()
    for label, info in (
        (Label.MESSAGE, "00" * 68),
        (Label.HEADER_KEY, ""),
        (Label.FILE, "ab" * 16),
    ):
        given = {"key": key, "label": label.value, "info": info}
        cases.add(f"key under {label.name}", "derive", given)
    _signatures(cases, entropy)
    _admission(cases)
    own, other = BoxSecret(entropy(32)), BoxSecret(entropy(32))
    box = sodium.seal(b"words", sodium.box_public(own), other)
    cases.add("a sealed box", "box.open", {"secret": own.hex(), "box": box.hex()})
    given = {"secret": own.hex(), "box": (bytes(32) + box[32:]).hex()}
    cases.add("open: a box with an ephemeral key of zero", "box.open", given, "open")
    cases.sweep("every change of a box", "box.open", {"secret": own.hex(), "box": box.hex()}, "box")
    single = Key(entropy(32))
    sealed = sodium.encrypt(single, b"words", b"where")
    given = {"key": single.hex(), "ciphertext": sealed.hex(), "associated": b"where".hex()}
    cases.add("a ciphertext", "aead.open", given)
    elsewhere = {**given, "associated": b"there".hex()}
    cases.add("open: a ciphertext elsewhere", "aead.open", elsewhere, "open")
    cases.sweep("every change of a ciphertext", "aead.open", given, "ciphertext")
    return cases


def _signatures(cases: Cases, entropy: Stream) -> None:
    seed, message = entropy(32), b"words"
    key = sodium.SigningKey(SignSeed(seed))
    given = {"seed": seed.hex(), "message": message.hex()}
    for label in (Label.SIGN_MESSAGE, Label.SIGN_LOGIN, Label.SIGN_CONTROL):
        cases.add(f"signed under {label.name}", "sign", {**given, "label": label.value})
    signature = key.sign(Label.SIGN_MESSAGE, message)
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    malleated = signature[:32] + scalar.to_bytes(32, "little")
    right = {
        "public": key.public.hex(),
        "label": Label.SIGN_MESSAGE.value,
        "message": message.hex(),
        "signature": signature.hex(),
    }
    cases.add("a signature", "verify", right)
    for name, changed in {
        "under another label": {"label": Label.SIGN_CONTROL.value},
        "of another message": {"message": b"other".hex()},
        "S + L": {"signature": malleated.hex()},
        "nothing but zeros": {"signature": "00" * 64, "public": "00" * 32},
    }.items():
        cases.add(f"signature: {name}", "verify", {**right, **changed}, "signature")
    for name, changed in {
        "a key of 31 bytes": {"public": right["public"][:62]},
        "a key of 5 bytes": {"public": "0102030405"},
        "a signature of 63 bytes": {"signature": signature[:63].hex()},
        "a signature of 65 bytes": {"signature": signature.hex() + "00"},
    }.items():
        cases.add(f"malformed: {name}", "verify", {**right, **changed}, "malformed")
    challenge = blake2b(b"challenge", digest_size=32).digest()
    login = key.sign(Label.SIGN_LOGIN, challenge)
    given = {"public": key.public.hex(), "challenge": challenge.hex(), "signature": login.hex()}
    cases.add("a login", "verify.login", given)
    as_message = key.sign(Label.SIGN_MESSAGE, challenge)
    moved = {**given, "signature": as_message.hex()}
    cases.add("signature: a message's as a login's", "verify.login", moved, "signature")
    moved = {**right, "message": challenge.hex(), "signature": login.hex()}
    cases.add("signature: a login's as a message's", "verify", moved, "signature")


def _admission(cases: Cases) -> None:
    good = sodium.sign_public(SignSeed(b"\x07" * 32))
    cases.add("a signing key", "key.sign", {"public": good.hex()})
    for name, public in {
        "the neutral element": (1).to_bytes(32, "little"),
        "zero": bytes(32),
        "order 2": (FIELD - 1).to_bytes(32, "little"),
        "order 4": bytes(31) + b"\x80",
        "order 8": bytes.fromhex(
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
        ),
        "order 8, the other": bytes.fromhex(
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
        ),
        "not canonical": (FIELD + 1).to_bytes(32, "little"),
        "all ones": b"\xff" * 32,
        "no point": (2).to_bytes(32, "little"),
        "mixed order": _mixed(good),
    }.items():
        cases.add(
            f"refused:bad-key: Ed25519, {name}",
            "key.sign",
            {"public": public.hex()},
            "refused:bad-key",
        )
    cases.add("malformed: Ed25519, 31 bytes", "key.sign", {"public": good[:31].hex()}, "malformed")
    box = sodium.box_public(BoxSecret(b"\x07" * 32))
    cases.add("a box key", "key.box", {"public": box.hex()})
    low = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
    other = "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"
    for name, public in {
        "0": bytes(32),
        "1": (1).to_bytes(32, "little"),
        "order 8": bytes.fromhex(low),
        "order 8, the other": bytes.fromhex(other),
        "p - 1": (FIELD - 1).to_bytes(32, "little"),
        "p": FIELD.to_bytes(32, "little"),
        "p + 1": (FIELD + 1).to_bytes(32, "little"),
        "9 and p": (FIELD + 9).to_bytes(32, "little"),
        "2^255 - 1": (2**255 - 1).to_bytes(32, "little"),
        "a key with its top bit": box[:31] + bytes([box[31] | 0x80]),
    }.items():
        cases.add(
            f"refused:bad-key: X25519, {name}",
            "key.box",
            {"public": public.hex()},
            "refused:bad-key",
        )
    cases.add("malformed: X25519, 33 bytes", "key.box", {"public": box.hex() + "00"}, "malformed")


def _mixed(good: bytes) -> bytes:
    """Return a point with a part of low order: a good key plus a point of order 8."""
    low = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")
    return _add(_point(good), _point(low))


_D = -121665 * pow(121666, FIELD - 2, FIELD) % FIELD


def _point(encoded: bytes) -> tuple[int, int]:
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    square = (y * y - 1) * pow(_D * y * y + 1, FIELD - 2, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if (x * x - square) % FIELD:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    return (x if x & 1 == sign else FIELD - x), y


def _add(one: tuple[int, int], other: tuple[int, int]) -> bytes:
    (x1, y1), (x2, y2) = one, other
    product = _D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, FIELD - 2, FIELD) % FIELD
    y = (y1 * y2 + x1 * x2) * pow(1 - product, FIELD - 2, FIELD) % FIELD
    return (y | (x & 1) << 255).to_bytes(32, "little")
