"""What a test reads at the relay of a meeting, and what it posts there past its protocol."""

from __future__ import annotations

from honest_client import HonestClient, Meeting
from lying_relay import Posted

from carnet_crypto.secret import conversation
from carnet_crypto.secret.conversation import Written
from carnet_crypto.values import EpochSecret

DAY = 24 * 3600 * 1000


def written_for(client: HonestClient, met: Meeting) -> Written:
    """Return a rotation that a client makes, not posted."""
    view = client.room(met.thread).view
    return conversation.rotate(client.writer(), view.thread, client.known_members(met.thread))


def post(met: Meeting, entry: bytes, like: Written | None = None) -> None:
    """Let the relay append any entry."""
    wraps, history = (like.wraps, like.history) if like else ((), ())
    met.relay.threads[met.thread].posted.append(Posted(entry, wraps, history))


def size(client: HonestClient) -> int:
    return client.contacts.checkpoint.size


def take_chain_at(met: Meeting, client: HonestClient, account, size: int) -> None:
    known = client.contacts.account(account).number
    client.contacts.take_chain(account, met.relay.chain(client, account, known, size))


def secret_of(met: Meeting) -> EpochSecret:
    view = met.doctor.room(met.thread).view
    return view.secrets[view.thread.epoch.number]


def envelopes(met: Meeting) -> list[bytes]:
    return met.relay.threads[met.thread].envelopes


def kinds(told) -> list[type]:
    return [type(each) for each in told]
