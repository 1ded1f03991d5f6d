"""Proofs of an opposition or a closing, as PDFs: printed again, they are the same to the byte.

Everything on them follows from the record's row, the person and the server's key, so nothing is
stored; when an opposition is taken back, its proof ends with it.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ColumnElement, select

from carnet.access.filters import speaks_for
from carnet.access.tables import DelegationKind, DelegationScope
from carnet.errors import NotFound, Unauthenticated
from carnet.people.actor import Actor, Anonymous
from carnet.people.tables import Person
from carnet.records.codes import proof_key, reference, same
from carnet.records.tables import Record
from carnet.store.database import Work


class ProofKind(StrEnum):
    """What is proven."""

    OPPOSITION = "OPPOSITION"
    CLOSING = "CLOSING"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof says."""

    kind: ProofKind
    reference: str
    at: datetime
    holder: str = field(repr=False)
    born: str = field(repr=False)


async def proof_for(
    actor: Actor, work: Work, server_key: bytes, record_id: UUID, kind: ProofKind
) -> Proof:
    """Return a proof for the holder, or for the parent of a minor.

    Raises:
        Unauthenticated: nobody has signed in.
        NotFound: no such record of theirs, or nothing of this kind is in force.
    """
    if isinstance(actor, Anonymous):
        raise Unauthenticated()
    theirs = speaks_for(
        actor, work.now, Record.person_id, DelegationScope.ACCESS, DelegationKind.PARENT
    )
    return await _proof(work, server_key, record_id, kind, theirs)


async def proof_by_key(work: Work, server_key: bytes, record_id: UUID, key: str) -> Proof:
    """Return the proof of an opposition for who holds its key and may have no account.

    Raises:
        Unauthenticated: the key goes with no opposition that is in force.
    """
    opposed_at = await work.session.scalar(select(Record.opposed_at).where(Record.id == record_id))
    if opposed_at is None or not same(proof_key(server_key, record_id, opposed_at), key):
        raise Unauthenticated()
    return await _proof(work, server_key, record_id, ProofKind.OPPOSITION, None)


async def _proof(
    work: Work,
    server_key: bytes,
    record_id: UUID,
    kind: ProofKind,
    condition: ColumnElement[bool] | None,
) -> Proof:
    statement = (
        select(Record, Person)
        .join(Person, Person.id == Record.person_id)
        .where(Record.id == record_id)
    )
    if condition is not None:
        statement = statement.where(condition)
    found = (await work.session.execute(statement)).one_or_none()
    if found is None:
        raise NotFound()
    record, person = found
    at = record.opposed_at if kind is ProofKind.OPPOSITION else record.closed_at
    if at is None:
        raise NotFound()
    names = [*person.given_names, person.birth_family_name]
    return Proof(
        kind,
        reference(server_key, record_id, kind.value, at),
        at,
        " ".join(names),
        str(person.birth_date or ""),
    )


_TEXTS = {
    ProofKind.OPPOSITION: (
        "Preuve d'opposition · Proof of opposition",
        "S'est opposé(e) à la création et à l'ouverture de son dossier de santé.",
        "Objected to the creation and opening of their health record.",
        "Cette opposition peut être levée à tout moment. It can be taken back at any time.",
    ),
    ProofKind.CLOSING: (
        "Preuve de clôture · Proof of closing",
        "A clos son dossier de santé. Il est archivé dix ans, puis supprimé.",
        "Closed their health record. It is archived for ten years, then deleted.",
        "Le dossier peut être rouvert pendant ce temps. It can be reopened until then.",
    ),
}


def printed(proof: Proof) -> bytes:
    """Return the proof as a one-page PDF."""
    title, french, english, closing = _TEXTS[proof.kind]
    # A server that prints no proof starts without the fonts, which take a quarter of a second.
    from fpdf import FPDF
    from fpdf.enums import XPos, YPos

    pdf = FPDF(format="A4")
    pdf.set_creation_date(proof.at)
    pdf.set_title(title)
    pdf.set_lang("fr")
    pdf.set_margin(22)
    pdf.add_page()
    pdf.set_font("Helvetica", style="B", size=15)
    pdf.multi_cell(w=0, text=title, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    pdf.ln(6)
    pdf.set_font("Helvetica", size=11)
    born = f" · {proof.born}" if proof.born else ""
    lines = (
        f"{proof.holder}{born}",
        french,
        english,
        f"Date : {proof.at:%Y-%m-%d %H:%M} UTC",
        f"Référence · Reference : {proof.reference}",
        closing,
    )
    for line in lines:
        pdf.multi_cell(w=0, h=6, text=_latin(line), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        pdf.ln(3)
    return bytes(pdf.output())


def _latin(text: str) -> str:
    """Return the text in the characters that a PDF's built-in fonts have."""
    return "".join(_latin_character(character) for character in text)


def _latin_character(character: str) -> str:
    for form in (character, unicodedata.normalize("NFKD", character)[:1], "?"):
        try:
            form.encode("latin-1")
        except UnicodeEncodeError:
            continue
        return form
    return "?"
