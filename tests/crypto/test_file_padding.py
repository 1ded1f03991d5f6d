"""The padding of a large file is large too: it is sealed in pieces, like the file."""

from __future__ import annotations

import pytest
from correspondents import NOW, seeded

from carnet_crypto.errors import Malformed
from carnet_crypto.padding import padded_length
from carnet_crypto.secret.attachments import SEALED_CHUNK, FileFacts, Sealer, sealed_length

FACTS = FileFacts("scan.pdf", "application/pdf", NOW)


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 131_072, 3_000_001, 2**24 + 1])
def test_padding_in_pieces_is_the_padding_at_once(length: int) -> None:
    data = bytes(length)
    one, other = Sealer(length, seeded(7)), Sealer(length, seeded(7))
    whole = one.begin + one.push(data)
    rest, manifest = one.finish(FACTS)
    pushed, pieces = other.push(data), list(other.pad())
    last, same = other.finish(FACTS)
    assert other.begin + pushed + b"".join(pieces) + last == whole + rest
    assert (same, last, len(whole + rest)) == (manifest, b"", sealed_length(length))
    assert max(map(len, pieces), default=0) <= SEALED_CHUNK
    assert (padded_length(length) == length) == (not pieces)


def test_a_file_that_shrank_gets_no_padding() -> None:
    sealer = Sealer(10, seeded(7))
    sealer.push(bytes(9))
    with pytest.raises(Malformed):
        list(sealer.pad())
