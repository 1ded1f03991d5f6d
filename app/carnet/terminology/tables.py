"""Tables of what ``carnet terminology load`` read from published nomenclatures."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base


class VaccineCode(Base):
    """What a code of some system for a vaccine protects against, in Carnet's disease codes."""

    __tablename__ = "terminology_vaccines"

    system: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    label: Mapped[str]
    disease_codes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    loaded_at: Mapped[datetime]


class Concept(Base):
    """What a code of a value set means, in French."""

    __tablename__ = "terminology_concepts"

    system: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    display: Mapped[str]
    value_set: Mapped[str]
    loaded_at: Mapped[datetime]
