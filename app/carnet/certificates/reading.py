"""Reads a certificate of any kind that Carnet knows."""

from __future__ import annotations

from datetime import datetime

from carnet.certificates import dcc, shc
from carnet.certificates.certificate import (
    MOST_CHARACTERS,
    Certificate,
    Fault,
    refused,
)
from carnet.certificates.trust import TrustList


def read(text: str, trust: TrustList, now: datetime) -> list[Certificate]:
    """Verify what is in a text: one certificate, or the cards of a file.

    Args:
        text: what a QR code holds, several of them apart by white space, a card file's JSON or a
            card itself.
        trust: whom to believe.
        now: certificates have to hold then.

    Raises:
        CertificateRefused: one of them does not hold.
    """
    if len(text) > MOST_CHARACTERS:
        raise refused(Fault.FORMAT)
    text = text.strip()
    if text.startswith(dcc.PREFIX):
        return [dcc.read(text, trust, now)]
    return [shc.read(card, trust, now) for card in shc.cards_of(text)]
