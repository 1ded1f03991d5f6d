"""Schedule files as one plain tree, whether XML or YAML, so that one builder validates both.

A node knows its file and line. XML names (`absMinAge`) become the names of our own format
(`abs_min_age`). Nothing is resolved, fetched or executed: entities and aliases are refused.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped]  # PyYAML ships no types
from lxml import etree  # type: ignore[import-untyped]  # lxml ships no types

from carnet.errors import CarnetError

LARGEST_FILE = 16_000_000  # bytes; the largest of the CDC's files has half a million
DEEPEST = 40
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where it is built
_CAPITAL = re.compile(r"(?<=[a-z0-9])([A-Z])")


class BrokenSchedule(CarnetError):
    """A schedule file breaks a rule of the format, so the whole schedule is refused."""

    code = "BROKEN_SCHEDULE"

    def __init__(self, file: str, line: int, rule: str) -> None:
        """Say where (`file`, `line`) and which rule is broken."""
        super().__init__(f"{file}:{line}: {rule}")
        self.file = file
        self.line = line
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Node:
    """A named node with text or children."""

    name: str
    file: str
    line: int
    text: str
    children: tuple["Node", ...] = ()

    def all(self, name: str) -> Iterator["Node"]:
        """Children called `name` that hold something."""
        return (c for c in self.children if c.name == name and (c.text or c.children))

    def one(self, name: str) -> "Node | None":
        """The only child called `name`, if it holds something.

        Raises:
            BrokenSchedule: when there are several.
        """
        found = list(self.all(name))
        if len(found) > 1:
            raise found[1].broken(f"{name} stands twice")
        return found[0] if found else None

    def said(self, name: str, default: str = "") -> str:
        """The text of the child called `name`."""
        found = self.one(name)
        return found.text if found is not None else default

    def broken(self, rule: str) -> BrokenSchedule:
        """The error that says this node breaks `rule`."""
        return BrokenSchedule(self.file, self.line, rule)


def read(path: Path) -> Node:
    """Read one XML or YAML file.

    Raises:
        BrokenSchedule: when the file is unreadable, too large or not well formed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BrokenSchedule(path.name, 0, f"cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise BrokenSchedule(path.name, 0, f"is larger than {LARGEST_FILE} bytes")
    return _xml(path.name, content) if path.suffix == ".xml" else _yaml(path.name, content)


def _xml(file: str, content: bytes) -> Node:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        rule = f"is no well-formed XML: {error.msg}"
        raise BrokenSchedule(file, error.lineno or 0, rule) from error
    if root.getroottree().docinfo.doctype:
        raise BrokenSchedule(file, 1, "has a document type, which schedules have not")
    return _from_element(file, root, 0)


def _from_element(file: str, element: etree._Element, depth: int) -> Node:
    line = element.sourceline or 0
    if depth > DEEPEST:
        raise BrokenSchedule(file, line, f"is nested deeper than {DEEPEST}")
    name = _CAPITAL.sub(r"_\1", str(element.tag)).lower()
    children = tuple(_from_element(file, child, depth + 1) for child in element)
    return Node(name, file, line, (element.text or "").strip(), children)


def _yaml(file: str, content: bytes) -> Node:
    try:
        events = list(yaml.parse(content, Loader=LOADER))
        if any(isinstance(event, yaml.AliasEvent) for event in events):
            raise BrokenSchedule(file, 1, "has an alias, which schedules have not")
        root = yaml.compose(content, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise BrokenSchedule(file, line, f"is no YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BrokenSchedule(file, 0, "is no YAML") from error
    if not isinstance(root, yaml.MappingNode):
        raise BrokenSchedule(file, 1, "is no mapping")
    return Node("schedule", file, 1, "", tuple(_from_mapping(file, root, 0)))


def _from_mapping(file: str, mapping: yaml.MappingNode, depth: int) -> Iterator[Node]:
    seen: set[str] = set()
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        if depth > DEEPEST:
            raise BrokenSchedule(file, line, f"is nested deeper than {DEEPEST}")
        if not isinstance(key, yaml.ScalarNode) or key.value in seen:
            raise BrokenSchedule(file, line, "has a key that is no name, or stands twice")
        seen.add(key.value)
        values = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for each in values:
            where = each.start_mark.line + 1
            if isinstance(each, yaml.ScalarNode):
                yield Node(key.value, file, where, str(each.value).strip())
            elif isinstance(each, yaml.MappingNode):
                inner = tuple(_from_mapping(file, each, depth + 1))
                yield Node(key.value, file, where, "", inner)
            else:
                raise BrokenSchedule(file, where, f"{key.value} holds a list in a list")
