"""Names of files that others chose: what is left of one when it becomes a name on our disk."""

from __future__ import annotations

from unicodedata import category, normalize

MOST_BYTES = 200  # of UTF-8: a file system takes 255, and the caller may have to add to it
FALLBACK = "file"
# What ends a name or names something else on one of the systems; and, on Windows, devices.
_FORBIDDEN = frozenset('/\\:*?"<>|')
_DEVICES = frozenset(
    ["CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))]
)


def safe_name(name: str) -> str:
    """Return a name that is one file's in the folder it is saved to, and shows as what it is.

    No separators or leading dots, nothing that turns the direction of reading or cannot be seen, no
    device's name, never empty. The ending stays, where there is one.
    """
    plain = "".join(_shown(character) for character in normalize("NFC", name))
    plain = " ".join(plain.split()).strip(". ")
    stem, dot, ending = plain.rpartition(".")
    if not dot:
        stem, ending = plain, ""
    if stem.partition(".")[0].strip().upper() in _DEVICES:
        stem = f"_{stem}"
    ending = _cut(ending, 20)
    stem = _cut(stem, MOST_BYTES - len(ending.encode()) - 1)
    return (stem.strip(". ") or FALLBACK) + (dot + ending if ending else "")


def _shown(character: str) -> str:
    if character in _FORBIDDEN:
        return "_"
    kind = category(character)
    if kind.startswith("Z"):
        return " "
    # Control, format (bidirectional marks and joiners), surrogate, private, unassigned.
    return "" if kind.startswith("C") else character


def _cut(text: str, most: int) -> str:
    """Return what of a text fits into so many bytes, in whole characters."""
    return text.encode()[:most].decode(errors="ignore")
