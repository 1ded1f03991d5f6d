"""One ciphertext that XChaCha20-Poly1305 opens under two keys: made here, for any prefix.

Poly1305 is a polynomial: with one free block of ciphertext the tags under both keys are made equal.
"""

from __future__ import annotations

import struct
from random import Random

_P = 2**130 - 5
_CLAMP = 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF


def _double_round(x: list[int]) -> None:
    for a, b, c, d in (
        (0, 4, 8, 12),
        (1, 5, 9, 13),
        (2, 6, 10, 14),
        (3, 7, 11, 15),
        (0, 5, 10, 15),
        (1, 6, 11, 12),
        (2, 7, 8, 13),
        (3, 4, 9, 14),
    ):
        for first, second, third, turn in (
            (a, b, d, 16),
            (c, d, b, 12),
            (a, b, d, 8),
            (c, d, b, 7),
        ):
            x[first] = (x[first] + x[second]) & 0xFFFFFFFF
            mixed = x[third] ^ x[first]
            x[third] = ((mixed << turn) | (mixed >> (32 - turn))) & 0xFFFFFFFF


def _state(key: bytes, last: bytes) -> list[int]:
    return [*struct.unpack("<4I", b"expand 32-byte k"), *struct.unpack("<8I", key),
            *struct.unpack("<4I", last)]  # fmt: skip


def _poly_key(key: bytes) -> tuple[int, int]:
    """Return the one-time key under the nonce of zeros that a single-use key has."""
    x = _state(key, bytes(16))
    for _ in range(10):
        _double_round(x)
    subkey = struct.pack("<8I", *x[:4], *x[12:])
    x = _state(subkey, bytes(16))
    start = list(x)
    for _ in range(10):
        _double_round(x)
    block = struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(x, start, strict=True)))
    return int.from_bytes(block[:16], "little") & _CLAMP, int.from_bytes(block[16:32], "little")


def _blocks(associated: bytes, ciphertext: bytes) -> list[int]:
    def padded(data: bytes) -> bytes:
        return data + bytes(-len(data) % 16)

    whole = padded(associated) + padded(ciphertext)
    whole += struct.pack("<QQ", len(associated), len(ciphertext))
    return [int.from_bytes(whole[i : i + 16], "little") + 2**128 for i in range(0, len(whole), 16)]


def _evaluate(blocks: list[int], r: int) -> int:
    total = 0
    for block in blocks:
        total = (total + block) * r % _P
    return total


def make(one: bytes, other: bytes, associated: bytes, length: int, seed: int = 1) -> bytes:
    """Return so many bytes of ciphertext and a tag, valid under both keys and nonce zero."""
    chance = Random(seed)  # noqa: S311
    (r1, s1), (r2, s2) = _poly_key(one), _poly_key(other)
    place = -(-len(associated) // 16)  # the first block of ciphertext is the free one
    while True:
        ciphertext = bytes(16) + chance.randbytes(length - 16)
        blocks = _blocks(associated, ciphertext)
        blocks[place] = 0
        power = len(blocks) - place
        factor = (pow(r1, power, _P) - pow(r2, power, _P)) % _P
        rest1, rest2 = _evaluate(blocks, r1), _evaluate(blocks, r2)
        for carry in range(-4, 4):
            free = (s2 - s1 + carry * 2**128 - rest1 + rest2) * pow(factor, -1, _P) % _P
            if not 2**128 <= free < 2**129:
                continue
            blocks[place] = free
            tags = [(_evaluate(blocks, r) + s) % 2**128 for r, s in ((r1, s1), (r2, s2))]
            if tags[0] == tags[1]:
                found = (free - 2**128).to_bytes(16, "little") + ciphertext[16:]
                return found + tags[0].to_bytes(16, "little")
