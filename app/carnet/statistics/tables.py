"""Tables of statistics: counters and how far the journal was folded into them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from carnet.store.base import Base


class Counter(Base):
    """One count: of a metric, in a month (``YYYY-MM``, or "" for a stock), of a kind."""

    __tablename__ = "statistics_counters"

    metric: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    dimension: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))


class Contribution(Base):
    """Who fed at least one record: counted once, whatever they send afterwards."""

    __tablename__ = "statistics_contributions"

    kind: Mapped[str] = mapped_column(primary_key=True)  # PROFESSIONAL or ORGANIZATION
    id: Mapped[str] = mapped_column(primary_key=True)
    group: Mapped[str]  # the profession, or the kind of establishment
    first_at: Mapped[datetime]


class FoldPosition(Base):
    """The next leaf of the journal to fold."""

    __tablename__ = "statistics_position"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    next_leaf: Mapped[int] = mapped_column(BigInteger)
    folded_at: Mapped[datetime]
