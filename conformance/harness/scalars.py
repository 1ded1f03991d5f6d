"""What Schemathesis sends where the schema has a scalar of its own: values in the scalar's form."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes


def register() -> None:
    """Register a strategy for each scalar of ``schema.graphql``."""
    days = st.dates().map(str)
    years = st.integers(1900, 2100).map(str)
    months = st.tuples(years, st.integers(1, 12)).map(lambda pair: f"{pair[0]}-{pair[1]:02}")
    moments = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "Z")
    base64url = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    for name, strategy in {
        "Base64Bytes": base64url.filter(lambda text: len(text) % 4 == 0),
        "Cursor": st.text(),
        "Date": days,
        "DateTime": moments,
        "Decimal": st.integers(-(10**9), 10**9).map(lambda number: str(number / 100)),
        "PartialDate": st.one_of(days, months, years),
        "URL": st.just("https://carnet.example/"),
        "UUID": st.uuids().map(str),
    }.items():
        schemathesis.graphql.scalar(name, strategy.map(nodes.String))


register()
