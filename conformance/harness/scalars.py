"""What Schemathesis sends where the schema has a scalar: values in the scalar's form.

Ids are mostly places, which `ids` fills with what exists.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import TypeVar

import schemathesis
from hypothesis import strategies as st
from schemathesis.graphql import nodes

T = TypeVar("T")


def register() -> None:
    """Register a strategy for each scalar of ``schema.graphql``, and for ids."""
    days = st.dates().map(str)
    years = st.integers(1900, 2100).map(str)
    months = st.tuples(years, st.integers(1, 12)).map(lambda pair: f"{pair[0]}-{pair[1]:02}")
    moments = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "Z")
    base64url = st.binary().map(_base64url)
    places = st.integers(0, 999).map("@{}".format)
    for name, strategy in {
        "Base64Bytes": base64url,
        "Cursor": st.text(),
        "Date": days,
        "DateTime": moments,
        "Decimal": st.integers(-(10**9), 10**9).map(lambda number: str(number / 100)),
        "ID": mostly(places, st.text()),
        "PartialDate": st.one_of(days, months, years),
        "URL": st.just("https://carnet.example/"),
        "UUID": st.uuids().map(str),
    }.items():
        schemathesis.graphql.scalar(name, strategy.map(nodes.String))


def mostly(usual: st.SearchStrategy[T], other: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Return what draws from the other once in four times; ``|`` draws from each as often."""
    return st.integers(0, 3).flatmap(lambda number: other if number == 3 else usual)


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
