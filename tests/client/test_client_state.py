"""What a client remembers comes back as it was, and shows nothing of itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from carnet_client.errors import DamagedKeyStore, UserMistake
from carnet_client.keystore import KeyStore
from carnet_client.state import (
    ClientState,
    OwnAccount,
    Pending,
    ThreadMemory,
    Unsent,
    Verified,
)
from carnet_client.vault import Passphrase
from carnet_crypto.contacts import BindingPin, Pin
from carnet_crypto.secret.keys import DeviceKeys, RootKey
from carnet_crypto.values import (
    AccountId,
    DeviceId,
    Digest,
    Label32,
    MessageId,
    SignPublic,
    SignSeed,
    ThreadId,
)

PASSPHRASE = Passphrase("correct horse battery")


def account() -> AccountId:
    return AccountId(os.urandom(32))


def full_state() -> ClientState:
    own, other, child = account(), account(), account()
    thread = ThreadMemory(
        (4, Digest(os.urandom(32))),
        {DeviceId(os.urandom(16)): 7},
        (3, MessageId(os.urandom(32))),
        Unsent("key", b"envelope", 4, MessageId(os.urandom(32)), ("blob",)),
        child,
    )
    return ClientState(
        server="https://records.example",
        login="camille@example.org",
        token="a token",
        own=OwnAccount(
            own,
            DeviceKeys.generate(os.urandom),
            RootKey(SignSeed(os.urandom(32))),
            {DeviceId(os.urandom(16))},
            Pending("key", (b"entry",), b"backup", {"team": "Wound care"}),
        ),
        others={child: OwnAccount(child, DeviceKeys.generate(os.urandom))},
        log_key="log+key",
        checkpoint="log\n1\n",
        pins={other: Pin(3, Digest(os.urandom(32)))},
        labels={Label32(os.urandom(32)): BindingPin(1, other)},
        verified={other: Verified(SignPublic(os.urandom(32)), 5)},
        names={other: "Dr Lou FAURE"},
        threads={ThreadId(os.urandom(32)): thread},
    )


def test_all_of_it_comes_back(tmp_path: Path) -> None:
    state = full_state()
    store = KeyStore.create(tmp_path / "profile", state, PASSPHRASE)
    state.token = "another token"
    store.save()
    store.close()
    again = KeyStore.open(tmp_path / "profile", PASSPHRASE)
    again.close()
    assert again.state.encode() == state.encode()
    assert again.state.token == "another token"
    for field in state.__dataclass_fields__:
        assert getattr(ClientState.decode(state.encode()), field) is not None


def test_nothing_secret_is_shown() -> None:
    state = full_state()
    assert state.own is not None and state.own.root is not None
    shown = repr(state) + str(state)
    for secret in (state.own.device.secret_bytes(), state.own.root.secret_bytes()):
        assert secret.hex() not in shown and repr(secret)[2:-1] not in shown
    assert "a token" not in shown and "envelope" not in shown


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"null", b'{"version": 2}', b'{"version": 1}', b"\xff"]
)
def test_what_is_no_state_is_damage(data: bytes) -> None:
    with pytest.raises(DamagedKeyStore):
        ClientState.decode(data)


def test_a_short_passphrase_makes_no_profile(tmp_path: Path) -> None:
    with pytest.raises(UserMistake):
        KeyStore.create(tmp_path / "profile", ClientState("https://x.example"), Passphrase("short"))
    assert not (tmp_path / "profile").exists()


def test_a_profile_is_not_written_over(tmp_path: Path) -> None:
    state = ClientState("https://records.example")
    KeyStore.create(tmp_path / "profile", state, PASSPHRASE).close()
    with pytest.raises(UserMistake):
        KeyStore.create(tmp_path / "profile", ClientState("https://other.example"), PASSPHRASE)
    store = KeyStore.open(tmp_path / "profile", PASSPHRASE)
    store.close()
    assert store.state.server == "https://records.example"
