"""Bounds on what one document may ask, checked before GraphQL's own rules see it.

The check is one linear pass that visits every selection once and remembers each fragment's size,
because a rule that walks a fragment again at each spread takes exponential time on fragments that
spread the next one twice: 679 bytes could cost a second. What it lets through is small enough for
everything that comes after it, GraphQL's own quadratic rule on fields that merge included.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    Node,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)

TEXT_LIMIT = 100_000  # characters, spaces and comments included
TOKEN_LIMIT = 5000  # lexical tokens and comments; the introspection query has about 300
DEPTH_LIMIT = 20  # nested fields; the introspection query has 13, our deepest example 10
FIELD_LIMIT = 2000  # fields and fragments, all spread out; more is no screen of any client
ALIAS_LIMIT = 100  # the same, of fields that are renamed
ROOT_LIMIT = 30  # fields of a query's root
MUTATION_LIMIT = 10  # fields of a mutation's root: each is a transaction
DIRECTIVE_LIMIT = 100  # in the whole document
FRAGMENT_LIMIT = 200  # definitions
OPERATION_LIMIT = 50  # definitions
# Pairs of selections with one response name: graphql-core compares each, at 5 to 12 µs.
PAIR_LIMIT = 10_000

Fragments = Mapping[str, FragmentDefinitionNode]


@dataclass(slots=True)
class _Size:
    """What a selection set holds, and the spreads that will add to it with their depth."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    roots: int = 0
    spreads: list[tuple[str, int]] = field(default_factory=list)


def check_size(document: DocumentNode) -> GraphQLError | None:
    """Return an error when the document is too large in any way, in time linear in its text."""
    fragments = fragments_of(document)
    operations = operations_of(document)
    if len(operations) > OPERATION_LIMIT:
        return GraphQLError(f"At most {OPERATION_LIMIT} operations.", operations[-1])
    if len(fragments) > FRAGMENT_LIMIT:
        return GraphQLError(f"At most {FRAGMENT_LIMIT} fragments.")
    directives = 0
    sizes: dict[str, _Size] = {}
    for name, fragment in fragments.items():
        sizes[name], found = _measure(fragment)
        directives += found
    order = innermost_first(fragments)
    if order is None:
        return GraphQLError("Fragments may not spread each other in a circle.")
    for name in order:
        _add_spreads(sizes[name], sizes)
    fields = 0
    for operation in operations:
        size, found = _measure(operation)
        directives += found
        _add_spreads(size, sizes)
        fields += size.fields
        refused = _refused(size, operation, fields)
        if refused is not None:
            return GraphQLError(refused, operation)
    if directives > DIRECTIVE_LIMIT:
        return GraphQLError(f"At most {DIRECTIVE_LIMIT} directives.")
    pairs = 0
    for operation in operations:
        for found in _pairs(operation.selection_set, fragments):
            pairs += found
            if pairs > PAIR_LIMIT:
                return GraphQLError("Too many selections of the same field.", operation)
    return None


def check_choice(document: DocumentNode, name: str | None) -> GraphQLError | None:
    """Return an error when there are several operations and none is named.

    Strawberry would run the first (strawberry-graphql 0.341).
    """
    operations = operations_of(document)
    if name is None and len(operations) > 1:
        return GraphQLError("Say in operationName which of the operations to run.", operations)
    return None


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """Return the fragments by name; of several of one name, which validation reports, the last."""
    return {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }


def operations_of(document: DocumentNode) -> list[OperationDefinitionNode]:
    """Return the operations in the order of the document."""
    return [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]


def innermost_first(fragments: Fragments) -> list[str] | None:
    """Return every fragment's name after those that it spreads, or None where they go round."""
    spreads = {name: _spreads(node.selection_set) for name, node in fragments.items()}
    done: dict[str, bool] = {}  # False: under way
    found: list[str] = []
    for root in fragments:
        stack = [(root, False)]
        while stack:
            name, is_left = stack.pop()
            if is_left:
                done[name] = True
                found.append(name)
            elif name not in done and name in fragments:
                done[name] = False
                stack.append((name, True))
                stack.extend((inner, False) for inner in spreads[name])
            elif done.get(name) is False:
                return None
    return found


def _spreads(selections: SelectionSetNode) -> list[str]:
    found, stack = [], [selections]
    while stack:
        for node in stack.pop().selections:
            if isinstance(node, FragmentSpreadNode):
                found.append(node.name.value)
            elif isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set:
                stack.append(node.selection_set)
    return found


def _measure(owner: OperationDefinitionNode | FragmentDefinitionNode) -> tuple[_Size, int]:
    """Return the size of a definition without its spreads, and the number of directives."""
    size = _Size()
    directives = _directives(owner)
    for variable in owner.variable_definitions or ():
        directives += _directives(variable)
    stack = [(owner.selection_set, 0)]
    while stack:
        within, depth = stack.pop()
        for node in within.selections:
            directives += _directives(node)
            size.fields += 1
            inner = depth
            match node:
                case FragmentSpreadNode():
                    size.spreads.append((node.name.value, depth))
                    continue
                case FieldNode():
                    inner = depth + 1
                    size.depth = max(size.depth, inner)
                    size.aliases += node.alias is not None
                    size.roots += inner == 1
            if isinstance(node, FieldNode | InlineFragmentNode) and node.selection_set is not None:
                stack.append((node.selection_set, inner))
    return size, directives


def _directives(node: Node) -> int:
    return len(getattr(node, "directives", None) or ())


def _add_spreads(size: _Size, sizes: Mapping[str, _Size]) -> None:
    for name, depth in size.spreads:
        inner = sizes.get(name)
        if inner is not None:
            size.depth = max(size.depth, depth + inner.depth)
            # Capped, else the numbers of a long chain grow to thousands of digits.
            size.fields = min(size.fields + inner.fields, FIELD_LIMIT + 1)
            size.aliases = min(size.aliases + inner.aliases, ALIAS_LIMIT + 1)
            if depth == 0:
                size.roots = min(size.roots + inner.roots, ROOT_LIMIT + 1)
    size.spreads = []


def _refused(size: _Size, operation: OperationDefinitionNode, fields: int) -> str | None:
    is_mutation = operation.operation is OperationType.MUTATION
    roots = MUTATION_LIMIT if is_mutation else ROOT_LIMIT
    if size.depth > DEPTH_LIMIT:
        return f"Fields may be nested at most {DEPTH_LIMIT} deep."
    if fields > FIELD_LIMIT:
        return f"At most {FIELD_LIMIT} fields, fragments spread out."
    if size.aliases > ALIAS_LIMIT:
        return f"At most {ALIAS_LIMIT} aliases, fragments spread out."
    if size.roots > roots:
        return f"At most {roots} fields at the root, fragments spread out."
    return None


def _pairs(selections: SelectionSetNode, fragments: Fragments) -> Iterator[int]:
    """Yield for each merged selection set how many pairs in it have to be compared.

    Fragments are spread out on the way: there are at most `FIELD_LIMIT` selections then.
    """
    merged = [[selections]]
    while merged:
        together = merged.pop()
        counts: Counter[str] = Counter()
        below: dict[str, list[SelectionSetNode]] = defaultdict(list)
        spreads = 0
        while together:
            for node in together.pop().selections:
                match node:
                    case FieldNode():
                        name = (node.alias or node.name).value
                        counts[name] += 1
                        if node.selection_set is not None:
                            below[name].append(node.selection_set)
                    case FragmentSpreadNode():
                        spreads += 1
                        if node.name.value in fragments:
                            together.append(fragments[node.name.value].selection_set)
                    case InlineFragmentNode():
                        together.append(node.selection_set)
        yield sum(count * (count - 1) // 2 for count in (spreads, *counts.values()))
        merged.extend(below.values())
