"""Sealing: what was sealed opens, and nothing else does."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.errors import ContentCorrupted
from carnet.store.sealing import (
    CHUNK_BYTES,
    CHUNKS_PER_SEGMENT,
    HEADER,
    SEALED_SEGMENT_BYTES,
    SEGMENT_BYTES,
    TAG_BYTES,
    Opener,
    Read,
    Sealer,
    chunk_count,
    reads,
    seal_whole,
    sealed_size,
    segment_count,
)

KEY = bytes(range(32))
BLOB = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
OTHER = UUID("01890a5d-ac96-774b-bcce-b302099a8058")

EDGES = [
    size + change
    for size in (0, CHUNK_BYTES, 4 * CHUNK_BYTES, SEGMENT_BYTES, 2 * SEGMENT_BYTES)
    for change in (-1, 0, 1)
    if size + change >= 0
]
SIZES = st.one_of(st.sampled_from(EDGES), st.integers(0, 3 * SEGMENT_BYTES), st.integers(0, 2**50))


def pattern(size: int) -> bytes:
    """Bytes in which every place is another's unlike."""
    block = b"".join(number.to_bytes(4, "big") for number in range(4096))
    return b"".join(
        sha256(number.to_bytes(4, "big")).digest()[:8] + block[8:]
        for number in range(-(-size // len(block)))
    )[:size]


def seal(data: bytes, *, key: bytes = KEY, blob_id: UUID = BLOB) -> list[bytes]:
    sealer = Sealer(key, blob_id)
    segments = [bytes(segment) for segment in seal_whole(sealer, data)]
    assert sealer.size_bytes == len(data)
    assert sealer.sha256() == sha256(data).digest()
    return segments


def seal_in_steps(data: bytes, chunks: int) -> list[bytes]:
    """Seal a few chunks at a time into one buffer that is used again and again."""
    sealer = Sealer(KEY, BLOB)
    buffer = bytearray(b"\xaa" * SEALED_SEGMENT_BYTES)
    segments = []
    step = chunks * CHUNK_BYTES
    count = max(1, -(-len(data) // step))
    for number in range(count):
        is_last = number == count - 1
        plain = memoryview(data)[number * step : (number + 1) * step]
        length = sealer.seal(plain, buffer, is_last=is_last)
        if is_last or sealer.is_segment_full:
            segments.append(bytes(buffer[:length]))
    return segments


def unseal(
    segments: list[bytes],
    size: int,
    start: int = 0,
    end: int | None = None,
    *,
    key: bytes = KEY,
    blob_id: UUID = BLOB,
) -> bytes:
    opener = Opener(key, blob_id, size)
    plan = reads(size, start, size if end is None else end)
    return b"".join(
        piece
        for read in plan
        for piece in opener.open(read, memoryview(segments[read.segment])[read.start : read.end])
    )


def chunks_of(segment: bytes) -> list[bytes]:
    step = CHUNK_BYTES + TAG_BYTES
    body = segment[len(HEADER) :]
    return [body[at : at + step] for at in range(0, len(body), step)]


@pytest.mark.parametrize("size", EDGES)
def test_what_was_sealed_opens(size: int) -> None:
    data = pattern(size)
    segments = seal(data)
    assert unseal(segments, size) == data
    assert len(segments) == segment_count(size)
    assert sum(map(len, segments)) == sealed_size(size)
    assert all(segment.startswith(HEADER) for segment in segments)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_range_of_every_content_opens(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, SEGMENT_BYTES + 3 * CHUNK_BYTES))
    start = data.draw(st.integers(0, size))
    end = data.draw(st.integers(start, size))
    content = pattern(size)
    assert unseal(seal(content), size, start, end) == content[start:end]


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("chunks", [1, 4, 32])
def test_sealing_in_steps_gives_the_same(size: int, chunks: int) -> None:
    data = pattern(size)
    assert seal_in_steps(data, chunks) == seal(data)


def test_only_the_last_chunk_may_be_short() -> None:
    sealer = Sealer(KEY, BLOB)
    buffer = bytearray(SEALED_SEGMENT_BYTES)
    with pytest.raises(ValueError, match="whole chunks"):
        sealer.seal(memoryview(b"abc"), buffer, is_last=False)
    sealer.seal(memoryview(b"abc"), buffer, is_last=True)
    with pytest.raises(ValueError, match="whole chunks"):
        sealer.seal(memoryview(b""), buffer, is_last=True)


@given(SIZES, st.data())
def test_the_reads_of_a_range_cover_it_once_and_stay_inside(size: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(max(0, size - 40 * SEGMENT_BYTES), size))
    end = data.draw(st.integers(start, size))
    plan = list(reads(size, start, end))
    assert sum(read.take for read in plan) == end - start
    at = start
    for number, read in enumerate(plan):
        first = read.first_chunk * CHUNK_BYTES
        assert first + read.skip == at
        at += read.take
        assert 0 <= read.skip <= CHUNK_BYTES
        assert read.segment == read.first_chunk // CHUNKS_PER_SEGMENT
        last = read.first_chunk + read.chunk_count - 1
        assert last // CHUNKS_PER_SEGMENT == read.segment
        assert read.is_last == (last == chunk_count(size) - 1)
        before = read.segment * (SEGMENT_BYTES + CHUNKS_PER_SEGMENT * TAG_BYTES + len(HEADER))
        assert before + read.end <= sealed_size(size)
        assert (before + read.end == sealed_size(size)) == read.is_last
        assert 0 < read.end - read.start <= len(HEADER) + 4 * (CHUNK_BYTES + TAG_BYTES)
        assert (
            number == 0
            or read.first_chunk == plan[number - 1].first_chunk + plan[number - 1].chunk_count
        )
    assert at == end


@given(SIZES, st.integers(1, 2**40))
def test_longer_content_is_longer_sealed(size: int, more: int) -> None:
    assert sealed_size(size) >= size + TAG_BYTES + len(HEADER)
    assert sealed_size(size + more) >= sealed_size(size) + more


def test_the_read_of_an_empty_content_verifies_it() -> None:
    segments = seal(b"")
    assert [len(segment) for segment in segments] == [len(HEADER) + TAG_BYTES]
    assert list(reads(0, 0, 0)) == [Read(0, 0, len(HEADER) + TAG_BYTES, 0, 1, 0, 0, True)]
    with pytest.raises(ContentCorrupted):
        unseal([segments[0][:-1] + bytes([segments[0][-1] ^ 1])], 0)


@pytest.mark.parametrize("bit", [0, 3, 7])
@pytest.mark.parametrize("place", [0, 7, 8, 1000, -1])
def test_a_flipped_bit_is_found(place: int, bit: int) -> None:
    data = pattern(3 * CHUNK_BYTES + 5)
    segment = bytearray(seal(data)[0])
    segment[place] ^= 1 << bit
    with pytest.raises(ContentCorrupted):
        unseal([bytes(segment)], len(data))


def test_a_chunk_that_is_right_opens_next_to_one_that_is_not() -> None:
    data = pattern(9 * CHUNK_BYTES)
    segment = bytearray(seal(data)[0])
    segment[len(HEADER) + 8 * (CHUNK_BYTES + TAG_BYTES) + 17] ^= 1
    assert unseal([bytes(segment)], len(data), 0, 8 * CHUNK_BYTES) == data[: 8 * CHUNK_BYTES]
    with pytest.raises(ContentCorrupted):
        unseal([bytes(segment)], len(data), 8 * CHUNK_BYTES, 8 * CHUNK_BYTES + 1)


def test_content_cut_at_a_chunk_is_found_even_if_the_size_says_so() -> None:
    data = pattern(3 * CHUNK_BYTES)
    (segment,) = seal(data)
    cut = segment[: -(CHUNK_BYTES + TAG_BYTES)]
    for size in (2 * CHUNK_BYTES, 3 * CHUNK_BYTES):
        with pytest.raises(ContentCorrupted):
            unseal([cut], size)
    assert unseal([segment], 3 * CHUNK_BYTES, 0, CHUNK_BYTES) == data[:CHUNK_BYTES]


def test_a_chunk_added_to_the_end_is_found() -> None:
    data = pattern(2 * CHUNK_BYTES)
    (segment,) = seal(data)
    extra = chunks_of(seal(pattern(3 * CHUNK_BYTES))[0])[2]
    with pytest.raises(ContentCorrupted):
        unseal([segment + extra], 3 * CHUNK_BYTES)


def test_chunks_in_another_order_are_found() -> None:
    data = pattern(3 * CHUNK_BYTES)
    first, second, third = chunks_of(seal(data)[0])
    with pytest.raises(ContentCorrupted):
        unseal([HEADER + second + first + third], len(data))


def test_segments_in_another_order_are_found() -> None:
    data = pattern(2 * SEGMENT_BYTES + 1)
    first, second, third = seal(data)
    with pytest.raises(ContentCorrupted):
        unseal([second, first, third], len(data))


def test_another_blob_s_bytes_under_the_same_key_are_found() -> None:
    segments = seal(b"somebody's", blob_id=OTHER)
    with pytest.raises(ContentCorrupted):
        unseal(segments, 10)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(ContentCorrupted):
        unseal(seal(b"secret"), 6, key=bytes(32))


def test_another_version_is_refused() -> None:
    (segment,) = seal(b"secret")
    with pytest.raises(ContentCorrupted):
        unseal([b"carnet\x00\x02" + segment[len(HEADER) :]], 6)


def test_sealed_bytes_do_not_hold_the_plain_ones() -> None:
    assert b"a secret of hers" not in b"".join(seal(b"a secret of hers" * 100))


def test_a_known_vector_still_opens() -> None:
    """Made with the first version: what it sealed must open for ever."""
    sealed = bytes.fromhex("6361726e657400010a3d0eb7547e98b984052f83508b302cfe4306c4b2ba5f22689b")
    assert unseal([sealed], 10) == b"carnet \xc3\xa9t"
    assert seal(b"carnet \xc3\xa9t") == [sealed]
