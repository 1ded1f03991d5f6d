"""What of a schema would break the clients of the last release."""

from __future__ import annotations

import re
from pathlib import Path

from graphql import build_schema
from graphql.utilities import BreakingChange, find_schema_changes

DECLARED = "breaking.txt"
_RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)\.graphql")


def newest_release(folder: Path) -> Path | None:
    """Return the schema of the newest release in a folder, or None where there is none."""
    found = [
        (tuple(map(int, match.groups())), path)
        for path in folder.glob("*.graphql")
        if (match := _RELEASE.fullmatch(path.name))
    ]
    return max(found)[1] if found else None


def breaking_changes(old: str, new: str) -> list[str]:
    """Return what of a change of schema could break a client, a line each, in order."""
    changes = find_schema_changes(build_schema(old), build_schema(new))
    return sorted(
        f"{change.type.name}: {change.description}"
        for change in changes
        if isinstance(change, BreakingChange)
    )


def undeclared(folder: Path, text: str) -> tuple[str, list[str], list[str]]:
    """Hold a schema against the newest release in a folder.

    Returns:
        The release's number, or "" without one; breaking changes that are not declared; and lines
        that declare what is none, or is none any more.
    """
    release = newest_release(folder)
    if release is None:
        return "", [], []
    file = folder / DECLARED
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    declared = [line for line in map(str.strip, lines) if line and not line.startswith("#")]
    found = breaking_changes(release.read_text("utf-8"), text)
    return (
        release.name.removesuffix(".graphql"),
        [line for line in found if line not in declared],
        [line for line in declared if line not in found],
    )
