"""Proofs against the recursive definitions of RFC 9162, and against every small change."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carnet_crypto import merkle
from carnet_crypto.errors import ProofFailed


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def naive_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*naive_subproof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def hashes(leaves: list[bytes], ranges: list[tuple[int, int]]) -> list[bytes]:
    """What a store does: fold the complete subtrees of each range."""

    def node(level: int, index: int) -> bytes:
        return naive_root(leaves[index << level : (index + 1) << level])

    return [
        merkle.fold([node(*place) for place in merkle.range_nodes(*range_)]) for range_ in ranges
    ]


def tree(size: int) -> list[bytes]:
    return [f"leaf {i}".encode() for i in range(size)]


@given(st.integers(0, 200))
def test_a_root_is_the_fold_of_complete_subtrees(size: int) -> None:
    assert hashes(tree(size), [(0, size)]) == [naive_root(tree(size))]


@given(st.integers(1, 200), st.data())
def test_inclusion_is_that_of_the_rfc_and_nothing_else_passes(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = tree(size)
    proof = hashes(leaves, merkle.inclusion_ranges(index, size))
    assert proof == naive_path(index, leaves)
    root, leaf = naive_root(leaves), merkle.leaf_hash(leaves[index])
    merkle.verify_inclusion(leaf, index, size, proof, root)
    for wrong in (
        (merkle.leaf_hash(b"other"), index, size, proof, root),
        (leaf, index, size, [*proof, root], root),
        (leaf, index, size, proof, merkle.leaf_hash(b"x")),
        (leaf, size, size, proof, root),
        *([(leaf, index, size, proof[:-1], root)] if proof else []),
        *([(leaf, (index + 1) % size, size, proof, root)] if size > 1 else []),
    ):
        with pytest.raises(ProofFailed):
            merkle.verify_inclusion(*wrong)


@given(st.integers(0, 200), st.data())
def test_consistency_is_that_of_the_rfc_and_nothing_else_passes(
    new: int, data: st.DataObject
) -> None:
    old = data.draw(st.integers(0, new))
    leaves = tree(new)
    proof = hashes(leaves, merkle.consistency_ranges(old, new))
    assert proof == (naive_subproof(old, leaves, True) if 0 < old < new else [])
    roots = naive_root(leaves[:old]), naive_root(leaves)
    merkle.verify_consistency(old, roots[0], new, roots[1], proof)
    other = merkle.leaf_hash(b"x")
    changed = [*leaves]
    if old:
        changed[old - 1] = b"changed"
        with pytest.raises(ProofFailed):
            merkle.verify_consistency(old, naive_root(changed[:old]), new, roots[1], proof)
    for wrong in (
        (old, other, new, roots[1], proof),
        (old, roots[0], new, roots[1], [*proof, other]),
        (new + 1, roots[0], new, roots[1], proof),
        *([(old, roots[0], new, other, proof)] if old else []),
        *([(old, roots[0], new, roots[1], proof[:-1])] if proof else []),
    ):
        with pytest.raises(ProofFailed):
            merkle.verify_consistency(*wrong)


def test_impossible_ranges_are_refused() -> None:
    for index, size in ((0, 0), (1, 1), (-1, 3)):
        with pytest.raises(ValueError, match="no such leaf"):
            merkle.inclusion_ranges(index, size)
    with pytest.raises(ValueError, match="larger"):
        merkle.consistency_ranges(3, 2)
