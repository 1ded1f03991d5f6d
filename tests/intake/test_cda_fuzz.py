"""Whatever the bytes, a CDA document is read or refused in one way."""

from __future__ import annotations

from bodies import cda, flat, section, structured
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet.errors import ValidationFailed
from carnet.intake.cda import read
from carnet.intake.model import Reading

ENTRIES = (
    '<act><entryRelationship typeCode="SUBJ"><observation moodCode="EVN"><value code="I20.0" '
    'codeSystem="2.16.840.1.113883.6.3" displayName="Angine"/></observation></entryRelationship>'
    "</act>",
    '<substanceAdministration moodCode="EVN"><templateId root="1.2.250.1.213.1.1.3.45"/>'
    '<effectiveTime value="20210409"/><consumable><manufacturedProduct><manufacturedMaterial>'
    '<code code="J07AN" codeSystem="2.16.840.1.113883.6.73" displayName="BCG"/>'
    "</manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration>",
)
BODIES = (cda(flat()), cda(structured(section("11450-4", *ENTRIES))))

changes = st.lists(
    st.tuples(st.integers(0, 10_000), st.binary(max_size=4), st.integers(0, 8)), max_size=6
)


def attempt(body: bytes) -> Reading | None:
    try:
        return read(body)
    except ValidationFailed as refusal:
        assert "\n" not in refusal.message and len(refusal.message) < 200
        return None


@settings(max_examples=300, deadline=2_000)
@given(st.sampled_from(BODIES), changes, st.integers(0, 10_000))
def test_damaged_documents(body: bytes, damage: list[tuple[int, bytes, int]], cut: int) -> None:
    for place, inserted, removed in damage:
        place %= len(body)
        body = body[:place] + inserted + body[place + removed :]
    attempt(body)
    attempt(body[: cut % (len(body) + 1)])


@settings(max_examples=150, deadline=2_000)
@given(st.data())
def test_documents_with_words_swapped(data: st.DataObject) -> None:
    words = [
        "",
        "nullFlavor",
        "value",
        "EVN",
        "INT",
        "true",
        "code",
        "#x",
        "9" * 40,
        "é",
        "&#0;",
        "&#x1F600;",
    ]
    body = data.draw(st.sampled_from(BODIES)).decode()
    for _ in range(3):
        old = data.draw(
            st.sampled_from(
                ["code", "value", "EVN", "root", "20210409", "observation", "id", "name", "1.2"]
            )
        )
        body = body.replace(old, data.draw(st.sampled_from(words)), data.draw(st.integers(1, 5)))
    attempt(body.encode())


@settings(max_examples=200, deadline=2_000)
@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    attempt(body)


def test_the_undamaged_documents_are_read() -> None:
    assert [len(reading.items) for body in BODIES if (reading := attempt(body))] == [1, 3]
