"""The shipped tables: small, immutable, read once. Pure look-ups, no database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from carnet.terminology.systems import ATC, SHORT, normalize_system, plain_code
from carnet.values import Coding

OTHER = "OTHER"  # the folder of documents that no table knows


@dataclass(frozen=True, slots=True)
class Disease:
    """A disease that vaccines protect against; ``nuva`` is the same in that nomenclature."""

    code: str
    fr: str
    en: str
    nuva: str


@dataclass(frozen=True, slots=True)
class DocumentType:
    """A kind of document and the folder that it goes into."""

    fr: str
    en: str
    category: str


def _rows(name: str) -> Iterator[list[str]]:
    """Yield the rows of a shipped table, without comments and heading."""
    text = files("carnet.terminology").joinpath("data", name).read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    for line in lines[1:]:
        yield line.split("\t")


@cache
def diseases() -> dict[str, Disease]:
    """Return all diseases by code."""
    return {row[0]: Disease(*row) for row in _rows("diseases.tsv")}


@cache
def vaccines() -> dict[tuple[str, str], frozenset[str]]:
    """Return the diseases of each vaccine by (system, code)."""
    return {
        (SHORT[system], code): frozenset(codes.split())
        for system, code, codes in _rows("vaccines.tsv")
    }


@cache
def document_types() -> dict[tuple[str, str], DocumentType]:
    """Return all kinds of documents by (system, code)."""
    return {
        (system, code): DocumentType(fr, en, category)
        for system, code, fr, en, category in _rows("document_types.tsv")
    }


@cache
def document_classes() -> dict[str, DocumentType]:
    """Return all classes of documents by code."""
    return {
        code: DocumentType(fr, en, category)
        for code, fr, en, category in _rows("document_classes.tsv")
    }


@cache
def _concepts() -> dict[tuple[str, str], tuple[str, str]]:
    return {(system, code): (fr, en) for system, code, fr, en in _rows("concepts.tsv")}


@cache
def _displays_by_code() -> dict[str, tuple[str, str]]:
    """Return what a code means where only one system has it: XDS metadata often omits it."""
    found: dict[str, set[tuple[str, str]]] = {}
    for (_, code), names in _concepts().items():
        found.setdefault(code, set()).add(names)
    return {code: next(iter(names)) for code, names in found.items() if len(names) == 1}


@cache
def _types_by_code() -> dict[str, DocumentType]:
    return {code: kind for (_, code), kind in document_types().items()}


def vaccine_key(coding: Coding) -> tuple[str, str]:
    """Return the key of a vaccine code in the tables: its system's one name, its plain code."""
    system = normalize_system(coding.system)
    code = coding.code.strip()
    for prefix in ("CVX-", "ATC-", "CIP-", "CIS-"):
        code = code.removeprefix(prefix)
    return system, plain_code(system, code)


def diseases_of_code(system: str, code: str) -> frozenset[str] | None:
    """Return what one vaccine code protects against, or None when no shipped table knows it.

    An ATC code that is not listed means what the longest listed group above it means.
    """
    table = vaccines()
    found = table.get((system, code))
    if found is None and system == ATC:
        for length in range(len(code) - 1, 4, -1):
            found = found or table.get((system, code[:length]))
    return found


def diseases_of(codings: Iterable[Coding]) -> frozenset[str]:
    """Return what a vaccine protects against, by all its codes that the shipped tables know."""
    found: set[str] = set()
    for coding in codings:
        found |= diseases_of_code(*vaccine_key(coding)) or frozenset()
    return frozenset(found)


def disease_name(code: str, locale: str) -> str:
    """Return a disease's name in French (``fr``) or English (``en``); the code if unknown."""
    disease = diseases().get(code)
    if disease is None:
        return code
    return disease.en if locale == "en" else disease.fr


def document_type(coding: Coding | None) -> DocumentType | None:
    """Return the kind of document of a code; the system may be missing or another's."""
    if coding is None:
        return None
    exact = document_types().get((normalize_system(coding.system), coding.code))
    return exact or _types_by_code().get(coding.code)


def category_of(kind: Coding | None, class_code: Coding | None) -> str:
    """Return the folder of a document: by its type, else by its class, else OTHER."""
    known = document_type(kind)
    if known is None and class_code is not None:
        known = document_classes().get(class_code.code)
    return known.category if known else OTHER


def display(system: str, code: str, locale: str) -> str | None:
    """Return what a code means in the locale, or None when the shipped tables do not know it."""
    system = normalize_system(system)
    kind = document_types().get((system, code))
    names = (kind.fr, kind.en) if kind else _concepts().get((system, code))
    if names is None and not system:
        names = _displays_by_code().get(code)
    if names is None:
        return None
    french, english = names
    return (english if locale == "en" else french) or french
