"""Ids that exist, so that generated documents reach more than «no such thing».

Schemathesis knows an id only as a text. Here a generated id is at first a place, ``@17``. Before
the document is sent, it becomes an id that somebody of the sandbox has seen, of the type that the
name of its field speaks of (``recordId``, ``document``), or of any.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    NameNode,
    ObjectFieldNode,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    is_object_type,
    visit,
)

PLACE = re.compile(r"@(\d+)")
OF = "(first: 3) { edges { node { __typename id } } }"
SECTIONS = (
    "advanceDirectives allergies attendingDoctor conditions disabilities entourage familyHistory"
    " immunizations lifestyle measurements procedures stays treatments"
)
RECORD = f"""
  __typename id
  documents{OF} exports{OF}
  profile {{ {" ".join(section + OF for section in SECTIONS.split())} }}
  access {{ blocks{OF} careTeam{OF} consents{OF} delegations{OF} emergencyAccesses{OF} }}
  prevention {{
    acts {{ __typename id }} facts {{ __typename id }} feeds {{ __typename id }}
    pregnancies {{ __typename id }}
  }}
"""
SEEN = f"""
query Seen {{
  viewer {{
    ... on Patient {{
      __typename id sessions{OF} threads{OF} notifications{OF}
      messagingAccounts {{ __typename id }}
      actsFor{OF}
      record {{ {RECORD} }}
    }}
    ... on Professional {{
      __typename id sessions{OF} threads{OF} notifications{OF}
      messagingAccounts {{ __typename id }}
      organization {{ __typename id }}
      patients(first: 3) {{ edges {{ node {{ __typename id documents{OF} }} }} }}
    }}
    ... on Operator {{ notifications{OF} }}
  }}
}}
"""
TYPENAME = FieldNode(name=NameNode(value="__typename"))
MEANT = {  # by a field whose name is not that of the type
    "entry": "Condition",
    "removedentry": "Condition",
    "statement": "PreventionAct",
    "member": "CareTeamMember",
    "feed": "CalendarFeed",
    "device": "PushDevice",
    "grantee": "Professional",
    "blob": "Blob",
}


class Ids:
    """Ids by the name of their type, in the order in which they were seen."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._by_type: dict[str, list[str]] = defaultdict(list)
        self._all: list[str] = []
        names = (name for name, kind in schema.type_map.items() if is_object_type(kind))
        self._types = {name.lower(): name for name in names} | MEANT

    def __len__(self) -> int:
        return len(self._all)

    def learn(self, answer: object) -> None:
        """Take the ids of every object in an answer that says its type."""
        for shape in _objects(answer):
            kind, id_ = shape.get("__typename"), shape.get("id")
            if isinstance(kind, str) and isinstance(id_, str):
                self.add(kind, id_)

    def add(self, kind: str, id_: str) -> None:
        """Take an id of a type."""
        if id_ not in self._by_type[kind]:
            self._by_type[kind].append(id_)
            self._all.append(id_)

    def choose(self, field: str, number: int) -> str:
        """Return the id that a place in a field stands for."""
        stem = re.sub(r"(Ids|Id|s)$", "", field).lower()
        known = self._by_type.get(self._types.get(stem, "")) or self._all
        return known[number % len(known)] if known else f"@{number}"

    def put_into(self, document: DocumentNode) -> DocumentNode:
        """Return the document with ids in their places, and the question which type came back."""
        return visit(document, _Placing(self))


class _Placing(Visitor):
    def __init__(self, ids: Ids) -> None:
        super().__init__()
        self._ids = ids
        self._names: list[str] = []
        self._field = ""

    def enter(self, node: Any, *_: Any) -> Any:
        if isinstance(node, FieldNode):
            self._field = node.name.value
        elif isinstance(node, ArgumentNode | ObjectFieldNode):
            name = node.name.value
            self._names.append(self._field if name == "id" else name)
        elif isinstance(node, StringValueNode) and self._names:
            name = self._names[-1]
            found = PLACE.fullmatch(node.value)
            if found:
                return StringValueNode(value=self._ids.choose(name, int(found[1])))
            if name == "blobId":
                return StringValueNode(value=self._ids.choose(name, len(node.value)))
        return None

    def leave(self, node: Any, *_: Any) -> Any:
        if isinstance(node, ArgumentNode | ObjectFieldNode):
            self._names.pop()
        elif isinstance(node, SelectionSetNode):
            return SelectionSetNode(selections=(*node.selections, TYPENAME))
        return None


def _objects(shape: object) -> Iterable[dict[str, Any]]:
    if isinstance(shape, dict):
        yield shape
        for value in shape.values():
            yield from _objects(value)
    elif isinstance(shape, list):
        for value in shape:
            yield from _objects(value)
