"""The declarative base and the column types that every ``tables.py`` builds on."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, Enum, MetaData, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, mapped_column

from carnet.values import PartialDate


class PartialDateText(TypeDecorator[PartialDate]):
    """Stores a `PartialDate` as its text, which sorts in time order."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: PartialDate | None, dialect: Dialect) -> str | None:
        """Write the text."""
        return None if value is None else value.text

    def process_result_value(self, value: str | None, dialect: Dialect) -> PartialDate | None:
        """Read the text; the column's check constraint vouches for its form."""
        return None if value is None else PartialDate(value)


class Base(DeclarativeBase):
    """Base of all tables. Constraints are named by rule, so that migrations can find them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        datetime: DateTime(timezone=True),
        PartialDate: PartialDateText,
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
    }


Id = Annotated[UUID, mapped_column(primary_key=True)]


def enum_column(kind: type[StrEnum], name: str | None = None) -> Enum:
    """Return a text column type that holds the enum's values under a check constraint.

    Args:
        kind: the enum.
        name: of the constraint, where a table has two columns of one enum.
    """
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        length=40,
        values_callable=lambda members: [member.value for member in members],
        name=name or _snake(kind.__name__),
    )


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


def partial_date_check(column: str) -> CheckConstraint:
    """Return the constraint that keeps a text column a partial date."""
    pattern = r"^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$"
    return CheckConstraint(f"{column} ~ '{pattern}'", name=f"{column}_partial_date")
