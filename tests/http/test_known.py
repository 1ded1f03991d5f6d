"""What is remembered of documents: bounded, and never a way around a check."""

from __future__ import annotations

from typing import Any

import graph
import pytest
from graphql import DocumentNode, parse
from strawberry.schema.exceptions import CannotGetOperationTypeError

from carnet.people.actor import Anonymous
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.operations.known import ALL_TEXTS, TEXT_LIMIT, Known


def test_the_least_recently_used_is_forgotten_first() -> None:
    known: Known[int] = Known()
    texts = [f"{number:04}" + "x" * (TEXT_LIMIT - 4) for number in range(ALL_TEXTS // TEXT_LIMIT)]
    for number, text in enumerate(texts):
        known.keep(number, text)
    assert [known.get(text) for text in texts] == list(range(len(texts)))
    assert known.get(texts[0]) == 0  # used, so the second goes
    known.keep(-1, "y")
    assert known.get(texts[0]) == 0 and known.get(texts[1]) is None and known.get("y") == -1


def test_a_long_text_is_not_kept_and_pushes_nothing_out() -> None:
    known: Known[DocumentNode] = Known()
    known.keep(parse("{ a }"), "{ a }")
    known.keep(parse("{ a }"), "{ a }" + " " * TEXT_LIMIT)
    assert known.get("{ a }") is not None
    assert known.get("{ a }" + " " * TEXT_LIMIT) is None


async def test_a_known_document_still_has_to_say_which_operation(
    database: Database, blobs: BlobStore
) -> None:
    text = "query A { __typename } query B { __typename }"

    async def ask(name: str | None) -> Any:
        context = graph.context_of(database, blobs, Anonymous())
        return await graph.SCHEMA.execute(text, context_value=context, operation_name=name)

    assert (await ask("A")).errors is None
    refused = (await ask(None)).errors
    assert refused and "operationName" in refused[0].message
    assert (await ask("B")).errors is None
    with pytest.raises(CannotGetOperationTypeError):
        await ask("C")
