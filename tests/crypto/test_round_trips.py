"""Whatever can be said is read as it was said, and nothing has two forms."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from correspondents import NOW
from hypothesis import given, settings
from hypothesis import strategies as st

from carnet_crypto import chain, chain_bodies, control, control_bodies, kinds, padding, seeds, wire
from carnet_crypto.account import Account
from carnet_crypto.chain import read_entry, unsigned_entry
from carnet_crypto.checkpoint import read_checkpoint
from carnet_crypto.control import Place, read_control, unsigned_control
from carnet_crypto.directory import HandleClass, read_binding, unsigned_binding
from carnet_crypto.envelope import read_envelope
from carnet_crypto.errors import Malformed
from carnet_crypto.rotation import EpochMember, Rotation
from carnet_crypto.secret import content
from carnet_crypto.secret.content import Manifest, encode_content, read_content
from carnet_crypto.secret.header import Header, Kind, read_header, sealed_header
from carnet_crypto.secret.recovery import RecoveryCode
from carnet_crypto.values import (
    AccountId,
    BoxPublic,
    DeviceId,
    Digest,
    FileId,
    Key,
    Label32,
    MessageId,
    Signature,
    SignerId,
    SignPublic,
    ThreadId,
)
from carnet_crypto.wire import Reader

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, wire.LARGEST)
WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=60)


def fixed(kind: type[Any]) -> st.SearchStrategy[Any]:
    return st.binary(min_size=kind.SIZE, max_size=kind.SIZE).map(kind)


def sealed(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=8, max_size=8).map(lambda start: start.ljust(size, b"\x01"))


def listed(item: st.SearchStrategy[Any], key: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    """Lists as they may stand: by key, each once."""
    found = st.lists(item, max_size=4, unique_by=key)
    return found.map(lambda items: tuple(sorted(items, key=key)))


ACCOUNT_WRAPS = st.builds(seeds.AccountWrap, fixed(AccountId), U32, sealed(seeds.SEED_FOR_ACCOUNT))
DEVICE_WRAPS = st.builds(seeds.DeviceWrap, fixed(DeviceId), sealed(seeds.SEED_FOR_DEVICE))
ENTRIES = st.one_of(
    st.builds(
        chain_bodies.Genesis,
        st.sampled_from(kinds.AccountKind),
        fixed(SignPublic),
        fixed(BoxPublic),
        fixed(SignPublic),
    ),
    st.builds(
        chain_bodies.AddDevice,
        fixed(DeviceId),
        fixed(SignPublic),
        fixed(BoxPublic),
        st.sampled_from(kinds.DeviceFlag),
        U64,
        fixed(Signature),
        st.one_of(st.just(b""), sealed(seeds.SEED_FOR_DEVICE)),
    ),
    st.builds(
        chain_bodies.RevokeDevice,
        fixed(DeviceId),
        st.sampled_from(kinds.RevocationReason),
        U64,
        fixed(Digest),
    ),
    st.builds(
        chain_bodies.AekRotate,
        U32,
        fixed(BoxPublic),
        fixed(Digest),
        st.one_of(st.just(b""), sealed(seeds.SEED_BEFORE)),
        listed(DEVICE_WRAPS, lambda wrap: wrap.device),
        listed(ACCOUNT_WRAPS, lambda wrap: wrap.account),
        sealed(seeds.SEED_FOR_DEVICE),
    ),
    st.builds(
        chain_bodies.RotateRoot,
        fixed(SignPublic),
        fixed(Signature),
        st.one_of(st.just(b""), sealed(64)),
    ),
    st.builds(
        chain_bodies.RecoverySet,
        fixed(BoxPublic),
        fixed(SignPublic),
        fixed(Digest),
        st.integers(0, 255),
        U32,
        sealed(16),
    ),
    st.builds(
        lambda wrap, scope, start: chain_bodies.Delegate(
            wrap.account, scope, start, start + 1, wrap
        ),
        ACCOUNT_WRAPS,
        st.sampled_from(kinds.Scope),
        st.integers(0, wire.LARGEST - 1),
    ),
    st.builds(chain_bodies.Undelegate, fixed(AccountId)),
    st.builds(
        chain_bodies.Roster,
        listed(
            st.builds(chain_bodies.RosterMember, ACCOUNT_WRAPS, st.sampled_from(kinds.RosterRole)),
            lambda member: member.wrap.account,
        ),
    ),
    st.just(chain_bodies.Close()),
)

ROLES = st.integers(0, 15).map(kinds.Roles)
POLICIES = st.builds(
    control_bodies.Policy,
    ROLES,
    ROLES,
    st.sampled_from(kinds.History),
    st.booleans(),
    st.integers(1, 255),
    U32,
)
ROTATIONS = st.builds(
    Rotation,
    U32,
    listed(
        st.builds(EpochMember, fixed(AccountId), U32, fixed(BoxPublic)),
        lambda member: member.account,
    ),
    fixed(Digest),
    fixed(Digest),
)
ROLE = st.sampled_from(kinds.Role)
CONTROLS = st.one_of(
    st.builds(
        control_bodies.Create,
        sealed(16),
        POLICIES,
        listed(st.builds(control_bodies.Joined, fixed(AccountId), ROLE), lambda each: each.account),
        ROTATIONS,
    ),
    st.builds(
        control_bodies.Add,
        listed(
            st.builds(control_bodies.Added, fixed(AccountId), ROLE, U32), lambda each: each.account
        ).filter(bool),
        ROTATIONS,
    ),
    st.builds(
        control_bodies.Remove, fixed(AccountId), st.sampled_from(kinds.RemovalReason), ROTATIONS
    ),
    st.builds(control_bodies.Rotate, ROTATIONS),
    st.builds(control_bodies.SetPolicy, POLICIES),
    st.just(control_bodies.CloseThread()),
    st.builds(control_bodies.ForkResolve, U32, fixed(Digest)),
    st.just(control_bodies.Leave()),
)

MANIFESTS = st.builds(
    Manifest,
    fixed(FileId),
    fixed(Key),
    sealed(24),
    U64,
    fixed(Digest),
    U64,
    WORDS,
    WORDS,
    U64,
)
CONTENTS = st.one_of(
    st.builds(content.Text, WORDS, fixed(AccountId)),
    st.builds(
        content.Attachments,
        WORDS,
        listed(MANIFESTS, lambda file: file.file).filter(bool),
        fixed(AccountId),
    ),
    st.builds(
        content.Receipt,
        st.lists(st.builds(content.Seen, fixed(DeviceId), U64), max_size=4).map(tuple),
    ),
    st.builds(content.Acknowledgement, fixed(MessageId), st.sampled_from(content.Verdict), WORDS),
    st.builds(content.Edit, fixed(MessageId), WORDS),
    st.builds(content.Retraction, fixed(MessageId), st.sampled_from(content.RetractionReason)),
    st.builds(content.System, st.sampled_from(content.SystemCode), fixed(AccountId), WORDS),
    st.builds(content.Complaint, st.sampled_from(content.ComplaintAbout), fixed(Digest)),
)
HEADERS = st.builds(
    Header,
    fixed(AccountId),
    fixed(DeviceId),
    st.integers(2, wire.LARGEST),
    fixed(MessageId).filter(lambda id_: not id_.is_zero),
    fixed(Digest),
    listed(fixed(MessageId), lambda head: head),
    U64,
    fixed(Digest),
    U64,
    st.sampled_from(Kind),
    U64,
    fixed(Digest),
    fixed(Signature),
)


@given(ENTRIES, U32, U64, fixed(SignerId), fixed(Signature))
def test_entries(body: Any, number: int, at: int, signer: SignerId, signature: Signature) -> None:
    account, link = AccountId(b"\x01" * 32), Digest(b"\x02" * 32)
    data = unsigned_entry(account, number, link, at, signer, body) + signature
    entry = read_entry(data)
    assert (entry.body, entry.number, entry.at, entry.signer) == (body, number, at, signer)
    assert type(entry.body) is type(body)
    assert entry.signed + entry.signature == entry.data == data


@given(CONTROLS, U32, U64, fixed(Signature))
def test_control_entries(body: Any, number: int, at: int, signature: Signature) -> None:
    place = Place(
        ThreadId(b"\x01" * 32),
        number,
        Digest(b"\x02" * 32),
        AccountId(b"\x03" * 32),
        DeviceId(b"\x04" * 16),
        number,
        at,
        Digest(b"\x05" * 32),
        at,
    )
    entry = read_control(unsigned_control(place, body) + signature)
    assert (entry.body, entry.number, entry.at) == (body, number, at)
    assert (entry.thread, entry.author, entry.device) == (place.thread, place.author, place.device)
    assert entry.rotation is getattr(entry.body, "rotation", None)


@given(CONTENTS)
def test_contents(said: Any) -> None:
    assert read_content(encode_content(said), said.KIND) == said


@given(CONTENTS, st.data())
def test_a_content_that_was_changed_is_another_or_none(said: Any, data: st.DataObject) -> None:
    encoded = encode_content(said)
    at, bit = data.draw(st.integers(0, len(encoded) - 1)), data.draw(st.integers(0, 7))
    changed = encoded[:at] + bytes([encoded[at] ^ (1 << bit)]) + encoded[at + 1 :]
    try:
        read = read_content(changed, said.KIND)
    except Malformed:
        return
    assert read != said and encode_content(read) == changed


@given(HEADERS)
def test_headers(header: Header) -> None:
    padded = sealed_header(header.unsigned, header.signature)
    found, unsigned = read_header(padded)
    assert found == header and unsigned == header.unsigned == found.unsigned


@given(
    st.sampled_from(HandleClass),
    fixed(Label32),
    st.integers(1, 2**32 - 1),
    fixed(AccountId),
    WORDS.filter(lambda words: len(words.encode()) <= 128),
    U64,
    U64,
)
def test_bindings(
    handle: HandleClass,
    label: Label32,
    version: int,
    account: AccountId,
    issuer: str,
    start: int,
    end: int,
) -> None:
    unsigned = unsigned_binding(handle, label, version, account, issuer, start, end)
    found = read_binding(unsigned + bytes(64))
    assert (found.handle, found.label, found.version) == (handle, label, version)
    assert (found.account, found.issuer, found.not_before) == (account, issuer, start)
    assert (found.not_after, found.signed) == (end, unsigned)


@given(st.binary(max_size=5000), st.sampled_from([0, 16, 256]))
def test_padding(data: bytes, least: int) -> None:
    padded = padding.pad(data, least)
    assert padding.unpad(padded, least) == data
    assert len(padded) == padding.padded_length(len(data), least) > len(data)
    assert len(padded) <= max(least, (len(data) + 1) * 1.12 + 1)
    for wrong in (padded + b"\x00", padded[:-1], padded + b"\x80"):
        try:
            found = padding.unpad(wrong, least)
        except Malformed:
            continue
        assert padding.pad(found, least) == wrong and found != data


@given(st.integers(0, 2**53))
def test_classes_of_lengths(length: int) -> None:
    size = padding.padme(length)
    assert size >= length and padding.padme(size) == size
    significant = size.bit_length().bit_length() + 1
    assert size % (1 << max(0, size.bit_length() - significant - 1)) == 0


@given(st.integers(-(2**70), 2**70), st.sampled_from([wire.u8, wire.u16, wire.u32, wire.u64]))
def test_numbers(number: int, encode: Any) -> None:
    size = {wire.u8: 1, wire.u16: 2, wire.u32: 4, wire.u64: 8}[encode]
    if 0 <= number < min(256**size, wire.LARGEST + 1):
        reader = Reader(encode(number))
        assert getattr(reader, encode.__name__)() == number
        reader.end()
    else:
        with pytest.raises(Malformed):
            encode(number)


@given(st.text(max_size=50))
def test_texts(words: str) -> None:
    try:
        encoded = wire.text(words)
    except Malformed:
        assert "\x00" in words or any("\ud800" <= c <= "\udfff" for c in words)
        return
    reader = Reader(encoded)
    assert reader.text(1000) == words
    reader.end()


@given(st.lists(st.binary(max_size=5), max_size=20))
def test_lists(items: list[bytes]) -> None:
    encoded = wire.vector(wire.opaque(item) for item in items)
    assert Reader(encoded).vector(lambda reader: reader.opaque(5), 20) == items
    if items:
        with pytest.raises(Malformed):
            Reader(encoded).vector(lambda reader: reader.opaque(5), len(items) - 1)


def test_lists_that_are_too_long_are_not_made() -> None:
    with pytest.raises(Malformed):
        wire.vector([b""] * 65536)


@given(st.binary(min_size=20, max_size=20))
def test_recovery_codes(bits: bytes) -> None:
    code = RecoveryCode(bits)
    assert RecoveryCode.read(code.text).bits == bits
    assert RecoveryCode.read(code.text.replace("-", " ").lower()).bits == bits


@given(st.binary(min_size=20, max_size=20), st.integers(0, 33), st.integers(1, 31))
def test_a_mistyped_character_is_noticed(bits: bytes, place: int, by: int) -> None:
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    plain = RecoveryCode(bits).text.replace("-", "")
    other = alphabet[(alphabet.index(plain[place]) + by) % 32]
    with pytest.raises(Malformed):
        RecoveryCode.read(plain[:place] + other + plain[place + 1 :])


READERS = [
    read_entry,
    read_control,
    read_envelope,
    read_binding,
    read_header,
    Account.begin,
    lambda data: read_content(data, Kind.ATTACHMENTS),
    lambda data: Manifest.read(Reader(data)),
]
STARTS = [b"", chain.MAGIC, control.MAGIC, b"CRN1\x01\x01\x00\x00", b"CRND\x01", b"\x01\x02"]


@settings(max_examples=300)
@given(st.sampled_from(STARTS), st.binary(max_size=600))
def test_any_bytes_are_read_or_malformed(start: bytes, rest: bytes) -> None:
    for read in READERS:
        with suppress(Malformed):  # and nothing else
            read(start + rest)


@given(st.text(max_size=200))
def test_any_text_is_a_checkpoint_or_malformed(text: str) -> None:
    for each in (text, f"log\n1\n{text}\ntime 1\n\n{text}\n"):
        with pytest.raises(Malformed):
            read_checkpoint(each)


@pytest.mark.parametrize("count", [b"\xff\xff", b"\x02\x01"])
def test_a_stated_length_costs_nothing(count: bytes) -> None:
    """Numbers that promise much are refused before anything is made for them."""
    roster = unsigned_entry(
        AccountId.zero(), 1, Digest.zero(), NOW, SignerId(bytes(16)), chain_bodies.Roster(())
    )
    promised = roster[:-2] + count + bytes(64)
    with pytest.raises(Malformed):
        read_entry(promised)
    large = chain.MAGIC + bytes(chain.MOST_ENTRY_BYTES)
    for read, data in ((read_entry, large), (read_control, control.MAGIC + large)):
        with pytest.raises(Malformed):
            read(data)
