"""Which media type an answer has: what the client prefers of what there is."""

from __future__ import annotations

JSON = "application/json"
GRAPHQL_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"


def preferred_type(accept: str) -> str | None:
    """Return the media type of the answer, or None when the client takes neither.

    Of two equally wanted, the one named first; for a wildcard or no header, ``application/json``.
    """
    if not accept.strip():
        return JSON
    best: tuple[float, str] | None = None
    for entry in accept.split(","):
        name, *parameters = (part.strip().lower() for part in entry.split(";"))
        chosen = JSON if name in {"*/*", "application/*"} else name
        weight = _weight(parameters)
        if chosen in {JSON, GRAPHQL_JSON, EVENT_STREAM} and weight > (best[0] if best else 0.0):
            best = weight, chosen
    return best[1] if best else None


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if weight <= 1.0 else 0.0  # not for «nan» and «inf» either
    return 1.0
