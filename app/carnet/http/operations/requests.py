"""A GraphQL request, read strictly from whatever JSON came, by every transport."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson

from carnet.errors import ValidationFailed

# U+0000 as a GraphQL string writes it. PostgreSQL text cannot hold it.
ESCAPED_NUL = re.compile(r"\\u(0000|\{0+\})")
BRACKETS_LIMIT = 50_000  # in the text of a request, those in strings too
VALUES_LIMIT = 10_000  # JSON values in a request: variables of 500,000 take a second to be refused
NUL = "Text may not hold the character U+0000."


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client asks to run: a text, or the hash of a registered one."""

    query: str | None
    variables: dict[str, Any] | None
    operation_name: str | None
    document_id: str | None = None

    @classmethod
    def of(cls, shape: object) -> Self:
        """Read a JSON value.

        Raises:
            ValidationFailed: it is not a GraphQL request.
        """
        if isinstance(shape, list):
            raise ValidationFailed("Send one operation; batches are not served.")
        if not isinstance(shape, dict):
            raise ValidationFailed("The body is a JSON object with query and variables.")
        query, variables = shape.get("query"), shape.get("variables")
        operation_name, extensions = shape.get("operationName"), shape.get("extensions")
        if not isinstance(variables, dict | None):
            raise ValidationFailed("variables is an object.")
        if not isinstance(operation_name, str | None):
            raise ValidationFailed("operationName is a string.")
        if not isinstance(extensions, dict | None):
            raise ValidationFailed("extensions is an object.")
        document_id = None if query is not None else _document_id(shape, extensions or {})
        if document_id is None and (not isinstance(query, str) or not query.strip()):
            raise ValidationFailed("query is a GraphQL document.")
        if query and ESCAPED_NUL.search(query):
            raise ValidationFailed(NUL)
        check_values(shape)
        return cls(query, variables, operation_name or None, document_id)

    @classmethod
    def of_parameters(cls, parameters: Sequence[tuple[str, str]]) -> Self:
        """Read the parameters of a URL; variables and extensions in them are JSON.

        Raises:
            ValidationFailed: they are not a GraphQL request.
        """
        shape: dict[str, Any] = {}
        for name, value in parameters:
            if name in shape:
                raise ValidationFailed("Send each parameter once.")
            shape[name] = value
        for name in ("variables", "extensions"):
            if shape.get(name):
                try:
                    shape[name] = read_json(shape[name].encode())
                except ValueError:
                    raise ValidationFailed(f"{name} is JSON.") from None
            else:
                shape[name] = None
        return cls.of(shape)


def _document_id(shape: Mapping[str, object], extensions: Mapping[str, object]) -> str | None:
    """Return the hash, as the specification, Apollo's links and Relay's examples send it."""
    persisted = extensions.get("persistedQuery")
    found = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    for candidate in (shape.get("documentId"), found, shape.get("doc_id"), shape.get("id")):
        if isinstance(candidate, str) and candidate:
            return candidate
    return None


def read_json(text: bytes) -> Any:
    """Return the JSON value of a text.

    Raises:
        ValueError: it is none, or has too many lists: 340,000 empty ones fit into a body, and
            Python looks for circles in all it has again and again while they are made.
    """
    if text.count(b"[") + text.count(b"{") > BRACKETS_LIMIT:
        raise ValueError
    return orjson.loads(text)


def check_values(shape: Any) -> None:
    """Look at every value within the JSON value.

    Raises:
        ValidationFailed: there are more than `VALUES_LIMIT`, or a text holds U+0000.
    """
    stack, count = [shape], 1
    while stack:
        item = stack.pop()
        if isinstance(item, str) and "\0" in item:
            raise ValidationFailed(NUL)
        if isinstance(item, dict):
            stack.extend(item)
            item = item.values()
        elif not isinstance(item, list):
            continue
        stack.extend(item)
        count += len(item)
        if count > VALUES_LIMIT:
            raise ValidationFailed(f"A request holds at most {VALUES_LIMIT} values.")
