"""Value sets as France's health agency publishes them: answers of IHE's value set sharing. Pure.

The files come from outside: nothing is fetched, a DOCTYPE is refused and with it all entities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

from lxml import etree  # type: ignore[import-untyped]  # lxml ships no types; see _Element

from carnet.terminology.sources import Source, is_code, label_of, mistake
from carnet.terminology.systems import normalize_system

_SVS = "{urn:ihe:iti:svs:2008}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


class _Element(Protocol):
    """What is used of an lxml element."""

    tag: str
    sourceline: int | None

    def get(self, key: str, default: str) -> str:
        """Return an attribute."""

    def findall(self, path: str) -> list[_Element]:
        """Return all elements at a path."""


@dataclass(frozen=True, slots=True)
class ValueSet:
    """A value set: its name, and what each of its codes means by (system, code)."""

    name: str
    displays: dict[tuple[str, str], str]


def read_value_sets(source: Source) -> list[ValueSet]:
    """Read the value sets of a file; those of other languages than French are left out.

    Raises:
        UserMistake: it is not well-formed, has a DOCTYPE, or a concept lacks what it needs.
    """
    root = _parse(source)
    if root.tag != f"{_SVS}RetrieveValueSetResponse":
        raise mistake(source.path, "this XML is not a value set.", line=root.sourceline)
    found = []
    for element in root.findall(f"{_SVS}ValueSet"):
        name = label_of(element.get("displayName", "") or element.get("id", ""))
        name = name.removesuffix(".tabs")  # some are published under the name of their sheet
        if not name:
            raise mistake(source.path, "this value set has no name.", line=element.sourceline)
        found.append(ValueSet(name, _displays(source, element)))
    if not any(value_set.displays for value_set in found):
        raise mistake(source.path, "there is no French concept in this value set.")
    return found


def _displays(source: Source, element: _Element) -> dict[tuple[str, str], str]:
    displays: dict[tuple[str, str], str] = {}
    for concepts in element.findall(f"{_SVS}ConceptList"):
        if not concepts.get(_LANGUAGE, "fr").lower().startswith("fr"):
            continue
        for concept in concepts.findall(f"{_SVS}Concept"):
            system, code = concept.get("codeSystem", "").strip(), concept.get("code", "").strip()
            display = label_of(concept.get("displayName", ""))
            if not (is_code(system) and is_code(code) and display):
                raise mistake(
                    source.path,
                    "a concept needs a code, a codeSystem and a displayName.",
                    line=concept.sourceline,
                )
            displays.setdefault((normalize_system(system), code), display)
    return displays


def _parse(source: Source) -> _Element:
    """Parse the file as UTF-8, whatever encoding it declares: no other hides a DOCTYPE."""
    doctype = source.text.find(b"<!DOCTYPE")
    if doctype >= 0:
        line = source.text.count(b"\n", 0, doctype) + 1
        raise mistake(source.path, "a DOCTYPE is not allowed.", line=line)
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        return cast(_Element, etree.fromstring(source.text, parser))
    except etree.XMLSyntaxError as error:
        raise mistake(source.path, "this XML is not well-formed.", line=error.lineno) from None
