"""Merkle trees of a transparency log, as RFC 9162 (section 2.1) defines them. Pure, SHA-256.

Nothing here is of any one log: the access journal and the key directory both use it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from carnet_crypto.errors import ProofFailed

HASH_BYTES = 32
LARGEST_TREE = 2**63 - 1
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf's bytes."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees put together."""
    return sha256(b"\x01" + left + right).digest()


def subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the largest complete subtrees (level, index) that make up the leaves of a range.

    ``start`` is a multiple of the range's largest power of two, as every range of the RFC's
    recursion is.
    """
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def root_nodes(size: int) -> list[tuple[int, int]]:
    """Return the complete subtrees that a tree of this size is made of, from left to right."""
    return list(subtrees(0, size))


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the root of adjacent complete subtrees, the largest first; of none, the empty root."""
    if not hashes:
        return EMPTY_ROOT
    folded = hashes[-1]
    for left in reversed(hashes[:-1]):
        folded = node_hash(left, folded)
    return folded


def range_nodes(start: int, end: int) -> list[tuple[int, int]]:
    """Return the complete subtrees whose fold is the hash of the leaves from start to end."""
    return list(subtrees(start, end))


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose hashes prove a leaf in a tree, the nearest first.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size <= LARGEST_TREE:
        raise ValueError("no such leaf")
    ranges: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Return the ranges whose hashes prove that a tree extends a smaller one, in the RFC's order.

    Raises:
        ValueError: the old tree is larger than the new one.
    """
    if not 0 <= old <= new <= LARGEST_TREE:
        raise ValueError("the old tree is larger than the new one")
    if old in (0, new):
        return []
    ranges: list[tuple[int, int]] = []
    start, end, is_whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
            is_whole = False
    if not is_whole:
        ranges.append((start, end))
    return ranges[::-1]


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """Return the root that a proof leads to from the hash of a leaf (RFC 9162, 2.1.3.2).

    Raises:
        ProofFailed: the proof has not the shape that index and size ask for.
    """
    if not 0 <= index < size <= LARGEST_TREE:
        raise ProofFailed("the leaf lies outside the tree")
    node, last, found = index, size - 1, leaf
    for hash_ in proof:
        if last == 0:
            raise ProofFailed("the proof is too long")
        if node & 1 or node == last:
            found = node_hash(hash_, found)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            found = node_hash(found, hash_)
        node >>= 1
        last >>= 1
    if last:
        raise ProofFailed("the proof is too short")
    return found


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf's hash is at this place of the tree with this size and root.

    Raises:
        ProofFailed: it is not shown.
    """
    _check_hashes([leaf, root, *proof])
    if root_from_inclusion(leaf, index, size, proof) != root:
        raise ProofFailed("the leaf is not in the tree")


def verify_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a tree extends an older one: nothing was removed, changed or put between
    (RFC 9162, 2.1.4.2).

    Raises:
        ProofFailed: it is not shown.
    """
    _check_hashes([old_root, new_root, *proof])
    if not 0 <= old <= new <= LARGEST_TREE:
        raise ProofFailed("the tree has shrunk")
    if old == new or old == 0:
        if proof or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise ProofFailed("the trees differ")
        return
    hashes = list(proof)
    if old & (old - 1) == 0:  # a power of two: the old root is a subtree of the new one
        hashes.insert(0, old_root)
    if not hashes:
        raise ProofFailed("the proof is too short")
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old_found = new_found = hashes[0]
    for hash_ in hashes[1:]:
        if last == 0:
            raise ProofFailed("the proof is too long")
        if node & 1 or node == last:
            old_found = node_hash(hash_, old_found)
            new_found = node_hash(hash_, new_found)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new_found = node_hash(new_found, hash_)
        node >>= 1
        last >>= 1
    if last or old_found != old_root or new_found != new_root:
        raise ProofFailed("the new tree does not extend the old one")


def _split(size: int) -> int:
    """Return the largest power of two below a size of at least two."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(hash_) != HASH_BYTES for hash_ in hashes):
        raise ProofFailed("a hash has 32 bytes")
