"""What an operation may cost at most, known before it runs.

A cost counts fields: each counts one, as often as it may have to be resolved. What is in a page is
multiplied by the page's size, and what is in another list by what such a list is taken to hold.
Fields that do more than show what was read have a weight of their own, and so have pages, once, and
every operation::

         { record(id: …) { documents(first: 20) { edges { node { title } } } } }
    50 +   1               200 + 1                1       20 × (1 + 1)          = 293

One pass, linear in the document: a fragment is priced once, however often it is spread. The weights
are measured: ``bench/bench_costs.py`` holds the dearest operations that are allowed below a second
of processor time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_list_type,
    value_from_ast_untyped,
)

from carnet.store.keyset import DEFAULT_PAGE, LARGEST_PAGE
from carnet_graphql.operations.limits import fragments_of, innermost_first
from carnet_graphql.operations.operation import Operation

LIST_SIZE = 5  # what a list that is no page is taken to hold: authors, contents, codings
OPERATION = 50  # the session is looked up, what was read is decided on again and written down
PAGE = 200  # a page is some statements with every right in them: as dear as that many fields
MUTATION = 50  # an action: locks, its decision, its journal entry, a commit
MOST_COST = 10**9  # counted no further, else the numbers of nested pages grow for ever

WEIGHTS = {
    "Query.__schema": 200,
    "Query.__type": 50,
    "Query.statistics": 200,
    "Record.prevention": 1500,  # the engine, for any day and any history
    "Record.calendar": 500,
    "Record.previewAs": 100,
    "Mutation.signIn": 200,  # argon2
    "Mutation.changePassword": 400,
    "Mutation.activateRecord": 200,
    "Mutation.takeIn": 500,
    "Mutation.requestExport": 500,
    "Mutation.importAppointments": 500,
}
"""What a field costs beyond its share of fields, where that is known to be much."""

SIZES = {
    "Document.contents": 5,  # 200 at most, in what a publisher sent
    "Immunization.sources": 5,  # 1,000 of a record at most
    "JournalEntry.documents": 30,  # a page that was read, or an export: 1,000 at most
    "JournalEntryAdded.released": 10,  # 100 at most
    "MarkNotificationsReadSuccess.notifications": 100,
    "Patient.messagingAccounts": 10,  # 200 at most, as for professionals
    "Prevention.acts": 50,  # 500 at most, as facts and pregnancies
    "Prevention.changes": 30,
    "Prevention.facts": 50,
    "Prevention.items": 100,
    "Prevention.knownActs": 150,
    "Prevention.knownFacts": 100,
    "Prevention.pregnancies": 10,
    "Prevention.setAside": 20,
    "PreventionItem.history": 10,
    "Professional.messagingAccounts": 10,
    "StaleControlHead.entries": 50,
    "Statistics.activationsPerMonth": 60,
    "Statistics.documents": 60,
    "Statistics.feedingOrganizations": 50,
    "Statistics.feedingProfessionals": 50,
    "TakeInSuccess.items": 100,  # as many as a body has
    "Thread.members": 5,  # 500 at most; clients ask for them in pages of 100 threads
    # Introspection reads no database: one of 40 of what is in the schema counts.
    "__Schema.types": 8,
    "__Schema.directives": 1,
    "__Type.fields": 5,
    "__Type.inputFields": 2,
    "__Type.enumValues": 3,
    "__Type.interfaces": 2,
    "__Type.possibleTypes": 4,
    "__Field.args": 1,
    "__Directive.args": 1,
}
"""What lists are taken to hold that are neither pages nor short, as much as people usually have.

What they really hold beyond that is bounded where an operation runs: `carnet_graphql.assembly`.
"""


class Costs:
    """Prices operations of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema

    def of(self, operation: Operation, variables: Mapping[str, Any] | None) -> int:
        """Return the cost with these variables; variables of a wrong type count as left out."""
        defaults = {
            variable.variable.name.value: value_from_ast_untyped(variable.default_value)
            for variable in operation.node.variable_definitions or ()
            if variable.default_value is not None
        }
        pricing = _Pricing(self._schema, defaults | dict(variables or {}))
        fragments = fragments_of(operation.document)
        for name in innermost_first(fragments) or ():
            fragment = fragments[name]
            within = self._schema.get_type(fragment.type_condition.name.value)
            pricing.fragments[name] = pricing.price(fragment.selection_set, within)
        root = self._schema.get_root_type(operation.type)
        price = pricing.price(operation.node.selection_set, root)
        return OPERATION + price.flat + price.once


class _Price(NamedTuple):
    """What a selection set costs."""

    once: int = 0
    each: int = 0  # of a connection, for each item of its page
    flat: int = 0  # however often it is resolved: pages are read together for all their parents


class _Pricing:
    """The pricing of one operation."""

    def __init__(self, schema: GraphQLSchema, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        self.fragments: dict[str, _Price] = {}

    def price(self, selections: SelectionSetNode, within: GraphQLNamedType | None) -> _Price:
        """Return the price of a selection set on a type."""
        found = [self._selection(node, within) for node in selections.selections]
        return _Price(*(min(sum(parts), MOST_COST) for parts in zip(*found, strict=True)))

    def _selection(self, node: SelectionNode, within: GraphQLNamedType | None) -> _Price:
        match node:
            case FragmentSpreadNode():
                return self.fragments[node.name.value]
            case InlineFragmentNode():
                condition = node.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else within
                return self.price(node.selection_set, inner)
            case FieldNode():
                return self._field(node, within)
        raise TypeError(f"{type(node).__name__} is no selection")

    def _field(self, node: FieldNode, within: Any) -> _Price:
        name = node.name.value
        field = self._schema.get_field(within, name)
        weight = 1 + WEIGHTS.get(f"{within.name}.{name}", 0)
        if within is self._schema.mutation_type:
            weight += MUTATION
        if field is None or node.selection_set is None:
            return _Price(weight)
        inner = get_named_type(field.type)
        below = self.price(node.selection_set, inner)
        if inner.name.endswith("Connection"):
            size = self._page(node)
            return _Price(weight + below.once + size * below.each, flat=PAGE + below.flat)
        if name == "edges" and within.name.endswith("Connection"):
            return _Price(weight, below.once, below.flat)
        size = 1
        if is_list_type(get_nullable_type(field.type)):
            size = SIZES.get(f"{within.name}.{name}") or self._list_size(node, field)
        return _Price(weight + size * below.once, flat=below.flat)

    def _page(self, node: FieldNode) -> int:
        """Return how many are asked for; what is no page's size is refused when it runs."""
        found = [
            self._value(argument.value)
            for argument in node.arguments or ()
            if argument.name.value in {"first", "last"}
        ]
        sizes = [min(max(size, 1), LARGEST_PAGE) for size in found if type(size) is int]
        return max(sizes, default=DEFAULT_PAGE)

    def _list_size(self, node: FieldNode, field: GraphQLField) -> int:
        """Return how much is asked for by a list of ids, or by number."""
        for argument in node.arguments or ():
            value = argument.value
            found = value.values if isinstance(value, ListValueNode) else self._value(value)
            if isinstance(found, list | tuple):
                return max(len(found), 1)
            if argument.name.value == "first" and type(found) is int:
                return max(found, 1)
        if "first" in field.args:
            size = field.args["first"].default_value
            return size if type(size) is int else LIST_SIZE
        return LIST_SIZE

    def _value(self, value: ValueNode) -> Any:
        match value:
            case IntValueNode():
                return int(value.value[:9])  # nine digits are more than any page has
            case VariableNode():
                found = self._variables.get(value.name.value)
                # 100.0 is an Int too, once it is read.
                return int(found) if isinstance(found, float) and found.is_integer() else found
        return None
