"""Documents: their metadata in XDS terms, versions, content links and permissions."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from carnet.documents import queries, tables
from carnet.documents.queries import DocumentFilter
from carnet.documents.rules import readability
from carnet.errors import RightsChanged
from carnet.store.keyset import Order
from carnet.store.tables import Blob
from carnet_graphql.access import AccessRule
from carnet_graphql.codings import Coding, coding_of
from carnet_graphql.connection import (
    After,
    Before,
    Connection,
    First,
    Last,
    connection,
    page_request,
)
from carnet_graphql.context import Info
from carnet_graphql.node import Node, register_node, write_id
from carnet_graphql.scalars import URL

DocumentCategory = tables.DocumentCategory
strawberry.enum(DocumentCategory, description="The folder in which a holder finds a document.")
DocumentStatus = tables.DocumentStatus
strawberry.enum(DocumentStatus, description="Availability of one version of a document.")
DepositorKind = tables.DepositorKind
strawberry.enum(DepositorKind, description="What kind of actor deposited a document.")
ContentRole = tables.ContentRole
strawberry.enum(ContentRole, description="What a content part is to its document.")


@strawberry.enum(description="How a list of documents is sorted.")
class DocumentOrder(Enum):
    """Orders that an index answers."""

    NEWEST = strawberry.enum_value("NEWEST", description="By time of service, the newest first.")
    OLDEST = strawberry.enum_value("OLDEST", description="By time of service, the oldest first.")
    LATEST_DEPOSIT = strawberry.enum_value(
        "LATEST_DEPOSIT", description="By time of deposit, the latest first."
    )
    TITLE = strawberry.enum_value("TITLE", description="By title.")

    def keyset(self) -> Order:
        """Return the order of the area."""
        order: Order = getattr(queries, self.name)
        return order


@strawberry.input(description="Which documents are wanted; all given criteria must hold.")
class DocumentFilterInput:
    """See `carnet.documents.queries.DocumentFilter`."""

    categories: list[DocumentCategory] | None = strawberry.field(
        default=None, description="One of these folders."
    )
    type_codes: list[str] | None = strawberry.field(
        default=None, description="One of these type codes (LOINC and others)."
    )
    author: str | None = strawberry.field(
        default=None, description="Part of an author's or organization's name."
    )
    title: str | None = strawberry.field(default=None, description="Part of the title.")
    since: datetime | None = strawberry.field(
        default=None, description="Not before; by service start, else creation, else deposit."
    )
    until: datetime | None = strawberry.field(default=None, description="Before.")
    with_former_versions: bool = strawberry.field(
        default=False, description="Superseded versions too."
    )

    def value(self) -> DocumentFilter:
        """Return the input as the area's filter."""
        return DocumentFilter(
            categories=tuple(self.categories or ()),
            type_codes=tuple((self.type_codes or ())[:100]),
            author=(self.author or "")[:200] or None,
            title=(self.title or "")[:200] or None,
            since=self.since,
            until=self.until,
            with_former=self.with_former_versions,
        )


@strawberry.type(description="Who wrote a document (XDS author).")
class DocumentAuthor:
    """One author, as the document names them."""

    family_name: str | None = strawberry.field(description="Family name.")
    given_name: str | None = strawberry.field(description="Given names.")
    identifier: str | None = strawberry.field(
        description="Professional number, such as the RPPS, as the document gives it."
    )
    role: Coding | None = strawberry.field(description="Role in the care.")
    speciality: Coding | None = strawberry.field(description="Profession or speciality.")
    organization_name: str | None = strawberry.field(description="On whose behalf.")

    @classmethod
    def of(cls, shape: dict[str, Any]) -> DocumentAuthor:
        """Return a stored author as its GraphQL object."""
        role, speciality = shape.get("role"), shape.get("speciality")
        return cls(
            family_name=shape.get("familyName"),
            given_name=shape.get("givenName"),
            identifier=(shape.get("identifier") or {}).get("value"),
            role=Coding.of_json(role) if role else None,
            speciality=Coding.of_json(speciality) if speciality else None,
            organization_name=shape.get("organizationName"),
        )


@strawberry.type(description="Bytes of a document: as deposited, or something found inside.")
class DocumentContent:
    """One content part."""

    row: strawberry.Private[tables.DocumentContent]
    blob: strawberry.Private[Blob]

    @strawberry.field(description="Number of the part; 0 is the original.")
    def part(self) -> int:
        """Return the number."""
        return self.row.part

    @strawberry.field(description="As deposited, or found inside.")
    def role(self) -> ContentRole:
        """Return the role."""
        return self.row.role

    @strawberry.field(description="Media type.")
    def media_type(self) -> str:
        """Return the media type."""
        return self.row.media_type

    @strawberry.field(description="The name that a download gets.")
    def file_name(self) -> str:
        """Return the file name."""
        return self.row.file_name

    @strawberry.field(description="Size in bytes, as counted by the server.")
    def size_bytes(self) -> float:
        """Return the size; a Float, since Int ends at 2 GiB."""
        return float(self.blob.size_bytes or 0)

    @strawberry.field(description="SHA-256 of the bytes in hexadecimal, as computed by the server.")
    def sha256(self) -> str:
        """Return the digest."""
        return (self.blob.sha256 or b"").hex()

    @strawberry.field(
        description="Where to download it, with the same authorization, relative to the server."
    )
    def url(self) -> URL:
        """Return the download link."""
        part = f"?part={self.row.part}" if self.row.part else ""
        return URL(f"/documents/{write_id(Document, self.row.document_id)}/content{part}")


@strawberry.type(description="What the viewer may do with a document.")
class DocumentPermissions:
    """Computed by the server for each viewer."""

    mask: bool = strawberry.field(description="Mask it from professionals, or show it again.")
    correct: bool = strawberry.field(description="Change its metadata.")
    replace: bool = strawberry.field(description="Put a new version in its place.")
    delete: bool = strawberry.field(description="Delete it and its content.")
    allowed_by: AccessRule = strawberry.field(description="The rule that lets you see it.")


@strawberry.type(description="One version of a document of a record (an XDS DocumentEntry).")
class Document(Node):
    """See `carnet.documents.tables.Document`."""

    row: strawberry.Private[tables.Document]

    @classmethod
    def of(cls, row: tables.Document) -> Document:
        """Return the row as its GraphQL object."""
        return cls(key=row.id, row=row)

    @strawberry.field(description="Title.")
    def title(self) -> str:
        """Return the title."""
        return self.row.title

    @strawberry.field(description="The folder in which the holder finds it.")
    def category(self) -> DocumentCategory:
        """Return the category."""
        return self.row.category

    @strawberry.field(description="What kind of document it is.")
    def type(self) -> Coding | None:
        """Return the type."""
        return coding_of(self.row.type_system, self.row.type_code, self.row.type_display)

    @strawberry.field(description="XDS formatCode: how the content is structured.")
    def format_code(self) -> str | None:
        """Return the format."""
        return self.row.format_code

    @strawberry.field(
        description="Whether this version is the current one, of those that you may know of."
    )
    async def status(self, info: Info) -> DocumentStatus:
        """Return the status."""
        if self.row.status is tables.DocumentStatus.CURRENT:
            return self.row.status  # it is so to everybody
        found = await info.context.load(queries.statuses_of, self.key)
        if found is None:  # lost since the document was read
            raise RightsChanged()
        return found

    @strawberry.field(description="Number of this version; the first is 1.")
    def version(self) -> int:
        """Return the version's number."""
        return self.row.version

    @strawberry.field(description="Counts changes of the metadata; send it back with a correction.")
    def revision(self) -> int:
        """Return the revision."""
        return self.row.revision

    @strawberry.field(description="The depositor's own identifier (XDS uniqueId).")
    def unique_id(self) -> str:
        """Return the unique id."""
        return self.row.unique_id

    @strawberry.field(description="Language of the content, such as fr-FR.")
    def language(self) -> str | None:
        """Return the language."""
        return self.row.language

    @strawberry.field(description="Authors, the main one first.")
    def authors(self) -> list[DocumentAuthor]:
        """Return the authors."""
        return [DocumentAuthor.of(author) for author in self.row.authors]

    @strawberry.field(description="Setting of the care, such as ambulatory (XDS practiceSetting).")
    def practice_setting(self) -> Coding | None:
        """Return the practice setting."""
        row = self.row
        return coding_of(None, row.practice_setting_code, row.practice_setting_display)

    @strawberry.field(description="Kind of establishment (XDS healthcareFacilityType).")
    def facility_type(self) -> Coding | None:
        """Return the facility type."""
        row = self.row
        return coding_of(None, row.facility_type_code, row.facility_type_display)

    @strawberry.field(description="When its author made it, by the author's clock.")
    def created_at(self) -> datetime | None:
        """Return the creation time."""
        return self.row.source_created_at

    @strawberry.field(description="When the care that it tells of began.")
    def service_started_at(self) -> datetime | None:
        """Return the start of the service."""
        return self.row.service_started_at

    @strawberry.field(description="When the care that it tells of ended.")
    def service_ended_at(self) -> datetime | None:
        """Return the end of the service."""
        return self.row.service_ended_at

    @strawberry.field(description="When it came into the record.")
    def deposited_at(self) -> datetime:
        """Return the time of deposit."""
        return self.row.deposited_at

    @strawberry.field(description="When its metadata last changed.")
    def updated_at(self) -> datetime:
        """Return the time of the last change."""
        return self.row.updated_at

    @strawberry.field(description="What kind of actor deposited it.")
    def deposited_by(self) -> DepositorKind:
        """Return the kind of depositor."""
        return self.row.depositor

    @strawberry.field(description="Confidentiality codes as deposited (HL7 and French lists).")
    def confidentiality_codes(self) -> list[str]:
        """Return the codes."""
        return self.row.confidentiality_codes

    @strawberry.field(description="Masked from professionals by the holder.")
    def is_masked(self) -> bool:
        """Tell whether it is masked."""
        return self.row.is_masked

    @strawberry.field(description="Hidden from a minor's legal representatives.")
    def is_hidden_from_representatives(self) -> bool:
        """Tell whether representatives do not see it."""
        return self.row.is_hidden_from_representatives

    @strawberry.field(
        description="What was accepted although it is not as claimed, such as HASH_MISMATCH."
    )
    def flags(self) -> list[str]:
        """Return the flags."""
        return self.row.flags

    @strawberry.field(description="Its content, the original first.")
    async def contents(self, info: Info) -> list[DocumentContent]:
        """Return the content parts."""
        parts = await info.context.load(queries.contents_of, self.key)
        return [DocumentContent(row=row, blob=blob) for row, blob in parts or []]

    @strawberry.field(
        description="The part that a person reads most easily: a PDF, picture or text if there is"
        " one, else the original; null when nothing is attached."
    )
    async def readable_content(self, info: Info) -> DocumentContent | None:
        """Return the most readable part."""
        parts = await info.context.load(queries.contents_of, self.key)
        if not parts:
            return None
        row, blob = min(parts, key=lambda pair: readability(pair[0].media_type, pair[0].part))
        return DocumentContent(row=row, blob=blob)

    @strawberry.field(description="All versions, the newest first, this one among them.")
    async def versions(
        self,
        info: Info,
        first: First = UNSET,
        after: After = UNSET,
        last: Last = UNSET,
        before: Before = UNSET,
    ) -> Connection[Annotated[Document, strawberry.lazy("carnet_graphql.documents")]]:
        """Return a page of versions."""
        return await connection(
            info.context,
            self.row.lineage_id,
            page_request(first, after, last, before),
            Document.of,
            pages=queries.version_pages,
            counts=queries.version_counts,
            order=queries.VERSIONS,
        )

    @strawberry.field(description="What you may do with it.")
    async def permissions(self, info: Info) -> DocumentPermissions:
        """Return the viewer's permissions."""
        found = await info.context.load(queries.permissions_of, self.key)
        if found is None:  # lost since the document was read
            raise RightsChanged()
        current = await self.status(info) is tables.DocumentStatus.CURRENT
        return DocumentPermissions(
            mask=found.mask,
            correct=found.change,
            replace=found.change and current,
            delete=found.change,
            allowed_by=AccessRule.of(found.read),
        )


register_node(Document, queries.by_ids, Document.of)
