"""A publisher that feeds one person's record, as intake lands what it sends."""

from __future__ import annotations

from uuid import UUID

from carnet.intake.landing import land
from carnet.intake.model import ContentPart, DocumentItem, Item, PatientClaim, Reading
from carnet.people.actor import Publisher
from carnet.people.identifiers import INS_NIR
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet.values import Identifier


def document(key: str) -> DocumentItem:
    """Return a document under this unique id."""
    return DocumentItem(key, "p", key, "Bilan", ContentPart(key.encode(), "text/plain"))


class Feed:
    """Sends one person's documents."""

    def __init__(
        self, database: Database, blobs: BlobStore, publisher: Publisher, number: str
    ) -> None:
        self.database, self.blobs, self.publisher = database, blobs, publisher
        self.claim = PatientClaim((Identifier(INS_NIR, number),), is_reference=True)

    async def send(self, *items: Item) -> list[UUID | None]:
        """Land the items, and return what each is now."""
        async with self.database.write() as work:
            reading = Reading("FHIR R4", {"p": self.claim}, items)
            outcomes = await land(self.publisher, work, self.blobs, reading)
        return [outcome.target_id for outcome in outcomes]
