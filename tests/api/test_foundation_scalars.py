"""Every scalar through a real schema: what is taken, what is refused, what comes out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import strawberry
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from carnet.values import PartialDate
from carnet_graphql.assembly import build
from carnet_graphql.scalars import SCALARS, URL, Cursor


@strawberry.type(description="Gives back what it is given.")
class Query:
    @strawberry.field(description="A moment.")
    def moment(self, value: datetime) -> datetime:
        assert value.tzinfo is UTC
        return value

    @strawberry.field(description="A day.")
    def day(self, value: date) -> date:
        assert type(value) is date
        return value

    @strawberry.field(description="A partial date.")
    def partial(self, value: PartialDate) -> PartialDate:
        assert isinstance(value, PartialDate)
        return value

    @strawberry.field(description="A number.")
    def number(self, value: Decimal) -> Decimal:
        return value

    @strawberry.field(description="An id.")
    def uuid(self, value: UUID) -> UUID:
        assert isinstance(value, UUID)
        return value

    @strawberry.field(description="A link.")
    def link(self, value: URL) -> URL:
        return value

    @strawberry.field(description="A cursor.")
    def cursor(self, value: Cursor) -> Cursor:
        return value

    @strawberry.field(description="A moment without zone: a bug of ours.")
    def naive(self) -> datetime:
        return datetime(2026, 3, 28)


SCHEMA = build(Query)
NAMES = {
    "moment": "DateTime",
    "day": "Date",
    "partial": "PartialDate",
    "number": "Decimal",
    "uuid": "UUID",
    "link": "URL",
    "cursor": "Cursor",
}


async def ask(field: str, value: Any) -> tuple[Any, list[str]]:
    query = f"query ($value: {NAMES[field]}!) {{ answer: {field}(value: $value) }}"
    result = await SCHEMA.execute(query, {"value": value})
    return (result.data or {}).get("answer"), [error.message for error in result.errors or []]


@pytest.mark.parametrize(
    ("field", "given_text", "answer"),
    [
        ("moment", "2026-03-28T14:05:00Z", "2026-03-28T14:05:00Z"),
        ("moment", "2026-03-28t14:05:00z", "2026-03-28T14:05:00Z"),
        ("moment", "2026-03-28T14:05:00+02:00", "2026-03-28T12:05:00Z"),
        ("moment", "2026-03-28T14:05:00.123456-00:30", "2026-03-28T14:35:00.123456Z"),
        ("day", "1975-03-28", "1975-03-28"),
        ("partial", "1975", "1975"),
        ("partial", "1975-03", "1975-03"),
        ("partial", "1975-03-28", "1975-03-28"),
        ("number", "37.20", "37.20"),
        ("number", "-0.5", "-0.5"),
        ("uuid", "01890A5D-AC96-774B-BCCE-B302099A8057", "01890a5d-ac96-774b-bcce-b302099a8057"),
        ("link", "/documents/x/content", "/documents/x/content"),
        ("cursor", "AZaz09-_", "AZaz09-_"),
    ],
)
async def test_a_value_passes(field: str, given_text: str, answer: str) -> None:
    assert await ask(field, given_text) == (answer, [])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("moment", "2026-03-28T14:05:00"),
        ("moment", "2026-03-28"),
        ("moment", "2026-03-28 14:05:00Z"),
        ("moment", "2026-02-30T14:05:00Z"),
        ("moment", "2026-W13-6T14:05:00Z"),
        ("moment", "0001-01-01T00:00:00+14:00"),
        ("moment", "9999-12-31T23:59:59-14:00"),
        ("moment", "2026-03-28T24:00:01Z"),
        ("moment", "٢٠٢٦-03-28T14:05:00Z"),
        ("moment", 1774706700),
        ("day", "20260328"),
        ("day", "2026-02-29"),
        ("day", "2026-03-28T00:00:00Z"),
        ("day", ["2026-03-28"]),
        ("partial", "1975-13"),
        ("partial", "75"),
        ("partial", {}),
        ("number", "NaN"),
        ("number", "Infinity"),
        ("number", "1e999999999"),
        ("number", "1_000"),
        ("number", 37.2),
        ("uuid", "01890a5dac96774bbcceb302099a8057"),
        ("uuid", "{01890a5d-ac96-774b-bcce-b302099a8057}"),
        ("uuid", "not one"),
        ("uuid", True),
        ("link", 5),
        ("cursor", None),
    ],
)
async def test_a_value_of_another_form_is_a_request_error(field: str, value: Any) -> None:
    answer, messages = await ask(field, value)
    assert answer is None
    assert len(messages) == 1
    assert "Variable '$value'" in messages[0]


async def test_literals_are_as_strict_as_variables() -> None:
    result = await SCHEMA.execute('{ moment(value: "2026-03-28T14:05:00") }')
    assert result.errors is not None
    assert "A moment with its zone" in result.errors[0].message
    assert (await SCHEMA.execute('{ day(value: "1975-03-28") }')).data == {"day": "1975-03-28"}


async def test_a_moment_without_zone_never_leaves() -> None:
    result = await SCHEMA.execute("{ naive }")
    assert result.data is None
    assert result.errors is not None
    assert result.errors[0].message == "Something went wrong."


@given(st.datetimes(timezones=st.just(timezone(timedelta(hours=1))), min_value=datetime(2, 1, 1)))
def test_moments_round_trip(moment: datetime) -> None:
    definition = SCALARS[datetime]
    assert definition.serialize is not None and definition.parse_value is not None
    assert definition.parse_value(definition.serialize(moment)) == moment


@given(st.text(max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?"))
def test_no_text_is_a_crash(text: str) -> None:
    for definition in SCALARS.values():
        assert definition.parse_value is not None
        try:
            definition.parse_value(text)
        except GraphQLError as error:
            assert definition.name in error.message
