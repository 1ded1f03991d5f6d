"""Strict readers of the values in a schedule file: each refuses what it does not understand."""

from collections.abc import Mapping
from datetime import date
from typing import TypeVar

from carnet.calendar.dates import FIRST, LAST, Period, period
from carnet.calendar.schedule import Validity
from carnet.calendar.tree import Node

_NOTHING = {"", "n/a"}
_Choice = TypeVar("_Choice")


def only(node: Node, names: frozenset[str]) -> None:
    """Refuse a child whose name is not one of `names`, and text beside children."""
    for child in node.children:
        if child.name not in names:
            raise child.broken(f"{node.name} has no {child.name}")
    if node.children and node.text:
        raise node.broken(f"{node.name} holds text beside its parts")


def text(node: Node, name: str) -> str:
    """The text of a child that must be there."""
    found = node.said(name)
    if found in _NOTHING:
        raise node.broken(f"{node.name} needs {name}")
    return found


def length(node: Node, name: str) -> Period | None:
    """An age or interval, or None when it is not given."""
    found = node.one(name)
    if found is None or found.text in _NOTHING:
        return None
    try:
        return period(found.text)
    except ValueError as error:
        raise found.broken(f"{name}: {error}") from error


def needed_length(node: Node, name: str) -> Period:
    """An age or interval that must be there."""
    found = length(node, name)
    if found is None:
        raise node.broken(f"{node.name} needs {name}")
    return found


def day(node: Node, name: str, default: int) -> int:
    """A date written `20251001`, `2025-10-01` or, in the CDC's files, `10/01/2025`."""
    found = node.one(name)
    if found is None or found.text in _NOTHING:
        return default
    said = found.text
    if len(said) == 10 and said[2] == said[5] == "/":
        said = f"{said[6:]}-{said[:2]}-{said[3:5]}"
    try:
        result = date.fromisoformat(said).toordinal()
    except ValueError as error:
        raise found.broken(f"{name}: {found.text!r} is no date") from error
    if not FIRST <= result <= LAST:
        raise found.broken(f"{name}: {found.text!r} is out of the centuries computed with")
    return result


def validity(node: Node, start: str = "effective_date", end: str = "cessation_date") -> Validity:
    """The days on which a rule is in force."""
    found = Validity(day(node, start, FIRST), day(node, end, LAST))
    if found.effective > found.cessation:
        raise node.broken(f"{start} is after {end}")
    return found


def number(node: Node, name: str, default: int | None = None) -> int:
    """A whole number from 0 to 999."""
    found = node.said(name)
    if found in _NOTHING and default is not None:
        return default
    if not (found.isascii() and found.isdigit() and len(found) <= 3):
        raise node.broken(f"{name}: {found!r} is no number from 0 to 999")
    return int(found)


def flag(node: Node, name: str) -> bool:
    """Yes or no; nothing is no."""
    return choice(node, name, _FLAGS, False)


_FLAGS = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}


def choice(
    node: Node, name: str, among: Mapping[str, _Choice], default: _Choice | None = None
) -> _Choice:
    """One of a closed list of words, upper and lower case alike."""
    found = node.said(name)
    if found in _NOTHING and default is not None:
        return default
    try:
        return among[found.casefold()]
    except KeyError as error:
        words = ", ".join(among)
        raise node.broken(f"{name}: {found!r} is none of {words}") from error


def codes(node: Node, name: str) -> frozenset[str]:
    """Codes separated by semicolons, or written as a list."""
    found = [part.strip() for each in node.all(name) for part in each.text.split(";")]
    return frozenset(code for code in found if code not in _NOTHING)


def as_cvx(code: str) -> str:
    """A CVX code as it is compared: without leading zeros, so that 03 and 3 are one."""
    return code.strip().lstrip("0") or "0"


def cvx(node: Node, name: str = "cvx") -> str:
    """A vaccine code that must be there."""
    return as_cvx(text(node, name))


def cvxs(node: Node, name: str) -> frozenset[str]:
    """Vaccine codes."""
    return frozenset(map(as_cvx, codes(node, name)))
