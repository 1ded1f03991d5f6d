"""What is wrong with an answer to a GraphQL request, whatever was asked.

GraphQL over HTTP (section 6) and GraphQL itself (section 7) say what a well-formed answer is.
Carnet promises further that each error has a code that the schema or HTTP knows, not `INTERNAL`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

MEDIA_TYPES = ("application/graphql-response+json", "application/json")
OF_REQUESTS = {  # codes of requests that never reached a resolver
    "BAD_REQUEST",
    "GRAPHQL_PARSE_FAILED",
    "METHOD_NOT_ALLOWED",
    "NOT_ACCEPTABLE",
}
STATUSES = {200, 400, 401, 413, 429}


def complaints(
    status: int, content_type: str, retry_after: str | None, body: bytes, codes: Iterable[str]
) -> list[str]:
    """Return what is wrong with an answer, a line each.

    Args:
        status: of HTTP.
        content_type: as it was declared.
        retry_after: the header, where it is there.
        body: as it came.
        codes: those of the schema's ``ErrorCode``.
    """
    found = []
    if status not in STATUSES:
        found.append(f"status {status}")
    if status == 429 and not (retry_after or "").isdigit():
        found.append("429 without Retry-After")
    if content_type.split(";")[0].strip().lower() not in MEDIA_TYPES:
        found.append(f"content type {content_type!r}")
    try:
        shape = json.loads(body)
    except ValueError:
        return [*found, "no JSON"]
    is_own = content_type.startswith(MEDIA_TYPES[0])  # under the other, 200 is said to everything
    if is_own and status == 200 and isinstance(shape, dict) and "data" not in shape:
        found.append("200 without data")
    return found + _of_shape(shape, {*codes, *OF_REQUESTS})


def _of_shape(shape: Any, codes: set[str]) -> list[str]:
    if not isinstance(shape, dict):
        return ["no JSON object"]
    found = [f"a member {name!r}" for name in shape.keys() - {"data", "errors", "extensions"}]
    if "data" not in shape and "errors" not in shape:
        found.append("neither data nor errors")
    if not isinstance(shape.get("data"), dict | None):
        found.append("data is no object")
    if "errors" in shape:
        errors = shape["errors"]
        if not isinstance(errors, list) or not errors:
            return [*found, "errors is no list of errors"]
        for error in errors:
            found += _of_error(error, codes)
    return found


def _of_error(error: Any, codes: set[str]) -> list[str]:
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return ["an error without message"]
    found = []
    if error.keys() - {"message", "locations", "path", "extensions"}:
        found.append("an error with further members")
    extensions = error.get("extensions")
    code = extensions.get("code") if isinstance(extensions, dict) else None
    if code not in codes:
        found.append(f"the code {code}: {error['message']}")
    path = error.get("path", [])
    if not isinstance(path, list) or not all(isinstance(step, str | int) for step in path):
        found.append("a path that is none")
    return found
