"""What a publisher's deposit did, also to versions that stood before it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from carnet.documents.tables import Document


class Landing(StrEnum):
    """What a deposit did."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DUPLICATE = "DUPLICATE"


@dataclass(frozen=True, slots=True)
class Landed:
    """A deposit that landed, and whom it took something from.

    ``hidden`` are versions that who acts for the holder saw until then, ``masked`` those that
    professionals saw. ``is_result_now``: it stood in a folder that is none of results.
    """

    document: Document
    landing: Landing
    hidden: tuple[UUID, ...] = ()
    masked: tuple[UUID, ...] = ()
    is_result_now: bool = False
