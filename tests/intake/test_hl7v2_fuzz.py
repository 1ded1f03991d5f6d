"""Whatever the bytes, an HL7 v2 body is read or refused in one way."""

from __future__ import annotations

import time

import pytest
from bodies import PID, cda, flat, mdm, message
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.errors import ValidationFailed
from carnet.intake.hl7v2 import read
from carnet.intake.model import DocumentItem, Reading

BODIES = (
    mdm("T02", cda(flat()), flags={"MASQUE_PS": "Y"}),
    message("ADT^A01^ADT_A01", PID, "ZFA|ACTIF"),
    message("ORU^R01", PID, "ORC|NW", "OBR|1", "OBX|1|NM|718-7^Hb^LN||13.2|g/dL"),
)

changes = st.lists(
    st.tuples(st.integers(0, 10_000), st.binary(max_size=4), st.integers(0, 8)), max_size=6
)


def attempt(body: bytes) -> Reading | None:
    try:
        reading = read(body)
    except ValidationFailed:
        return None
    assert all(item.source_key for item in reading.items)
    return reading


@settings(max_examples=300, deadline=2_000)
@given(st.sampled_from(BODIES), changes, st.integers(0, 10_000))
def test_damaged_messages(body: bytes, damage: list[tuple[int, bytes, int]], cut: int) -> None:
    for place, inserted, removed in damage:
        place %= len(body)
        body = body[:place] + inserted + body[place + removed :]
    attempt(body)
    attempt(body[: cut % (len(body) + 1)])


@settings(max_examples=300, deadline=2_000)
@given(st.text("MSHPIDOBXTRC|^~\\&\r\n0123.ED\x0b\x1c", max_size=300))
def test_messages_of_marks(text: str) -> None:
    attempt(b"MSH|^~\\&|" + text.encode())
    attempt(b"MSH" + text.encode())


@pytest.mark.parametrize(
    "body",
    [
        b"MSH" + b"|" * 2_000_000,
        b"MSH|^~\\&|" + b"~" * 2_000_000,
        b"MSH|^~\\&|A\rPID|||" + b"^" * 2_000_000 + b"&" * 2_000_000,
        b"MSH|^~\\&|A\rPID|||" + b"\\X" + b"41" * 1_000_000,
        b"MSH|^~\\&|A\rPID|||1^^^A|" + b"\\" * 2_000_000,
        b"MSH|^~\\&|A|||||ORU^R01\r" + PID.encode() + b"\r" + b"OBX|1|ED|||\r" * 100_000,
        b"MSH|^~\\&|A|||||ADT^A01\r" * 9_000,
    ],
)
def test_work_is_bounded(body: bytes) -> None:
    start = time.process_time()
    attempt(body)
    assert time.process_time() - start < 6


def test_the_undamaged_messages_are_read() -> None:
    first = attempt(BODIES[0])
    assert first is not None and isinstance(first.items[0], DocumentItem)
    assert [len(reading.items) for body in BODIES if (reading := attempt(body))] == [1, 2, 1]
