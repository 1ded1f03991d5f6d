"""A generation of an account's encryption key, as the chain tells it."""

from __future__ import annotations

from dataclasses import dataclass

from carnet_crypto.chain_bodies import AekRotate
from carnet_crypto.values import BoxPublic, Digest


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation of an account's encryption key."""

    number: int
    aek: BoxPublic
    commitment: Digest
    rotation: AekRotate
    entry: int  # number of the entry that made it
    at: int  # time of that entry
