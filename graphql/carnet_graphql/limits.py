"""Bounds on what one document may ask, checked before GraphQL's own rules see it.

The check is one linear pass that visits every selection once and remembers each fragment's size,
because a rule that walks a fragment again at each spread takes exponential time on fragments that
spread the next one twice: 679 bytes could cost a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionSetNode,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from carnet_graphql.known import Known
from carnet_graphql.masking import ERROR_LIMIT

TOKEN_LIMIT = 5000  # lexical tokens and comments; the introspection query has about 300
DEPTH_LIMIT = 20  # nested fields; the introspection query has 13, our deepest example 10
FIELD_LIMIT = 2000  # fields after fragments are spread out; more is no screen of any client

RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


@dataclass(slots=True)
class _Size:
    """Depth and number of fields, and the spreads that will add to them with their depth."""

    depth: int = 0
    fields: int = 0
    spreads: list[tuple[str, int]] = field(default_factory=list)


def check_size(document: DocumentNode) -> GraphQLError | None:
    """Return an error when an operation is too deep or too wide, in time linear in its text."""
    fragments = {
        node.name.value: _measure(node.selection_set)
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    for size in _innermost_first(fragments):
        _add_spreads(size, fragments)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            size = _measure(node.selection_set)
            _add_spreads(size, fragments)
            if size.depth > DEPTH_LIMIT:
                return GraphQLError(f"Fields may be nested at most {DEPTH_LIMIT} deep.", node)
            if size.fields > FIELD_LIMIT:
                return GraphQLError(f"At most {FIELD_LIMIT} fields, fragments spread out.", node)
    return None


def check_choice(document: DocumentNode, name: str | None) -> GraphQLError | None:
    """Return an error when there are several operations and none is named.

    Strawberry would run the first (strawberry-graphql 0.341).
    """
    operations = [
        node for node in document.definitions if isinstance(node, OperationDefinitionNode)
    ]
    if name is None and len(operations) > 1:
        return GraphQLError("Say in operationName which of the operations to run.", operations)
    return None


def check(
    schema: GraphQLSchema, document: DocumentNode, name: str | None, *, introspection: bool
) -> list[GraphQLError]:
    """Return what is wrong with a document, at most 5 errors: its size first, then the rest."""
    refused = check_size(document) or check_choice(document, name)
    if refused is not None:
        return [refused]
    return validate(
        schema,
        document,
        RULES if introspection else (*RULES, NoSchemaIntrospectionCustomRule),
        max_errors=ERROR_LIMIT,
        hide_suggestions=not introspection,
    )


def _measure(selections: SelectionSetNode) -> _Size:
    size = _Size()
    stack = [(selections, 0)]
    while stack:
        within, depth = stack.pop()
        for node in within.selections:
            if isinstance(node, FragmentSpreadNode):
                size.spreads.append((node.name.value, depth))
                continue
            inner = depth
            if isinstance(node, FieldNode):
                inner = depth + 1
                size.fields += 1
                size.depth = max(size.depth, inner)
            nested = getattr(node, "selection_set", None)
            if nested is not None:
                stack.append((nested, inner))
    return size


def _innermost_first(fragments: dict[str, _Size]) -> Iterator[_Size]:
    """Yield every fragment after those it spreads; a cycle, which validation reports, is cut."""
    seen: set[str] = set()
    for root in fragments:
        stack = [(root, False)]
        while stack:
            name, is_done = stack.pop()
            if is_done:
                yield fragments[name]
            elif name in fragments and name not in seen:
                seen.add(name)
                stack.append((name, True))
                stack.extend((spread, False) for spread, _ in fragments[name].spreads)


def _add_spreads(size: _Size, fragments: dict[str, _Size]) -> None:
    for name, depth in size.spreads:
        inner = fragments.get(name)
        if inner is not None:
            size.depth = max(size.depth, depth + inner.depth)
            # Capped, else the numbers of a long chain grow to thousands of digits.
            size.fields = min(size.fields + inner.fields + 1, FIELD_LIMIT + 1)
    size.spreads = []


class Limits(SchemaExtension):
    """Refuses documents that are too long, too deep or too wide, then validates the rest.

    Args:
        known: what it has checked before.
        introspection: False tells the schema to nobody: no introspection, no «did you mean».
    """

    def __init__(self, known: Known[DocumentNode], *, introspection: bool) -> None:
        super().__init__()
        self._known = known
        self._introspection = introspection

    def on_operation(self) -> Iterator[None]:
        """Bound the parser."""
        self.execution_context.parse_options["max_tokens"] = TOKEN_LIMIT
        yield

    def on_parse(self) -> Iterator[None]:
        """Take a document that was parsed and checked before."""
        context = self.execution_context
        context.graphql_document = self._known.get(context.query or "")
        yield

    def on_validate(self) -> Iterator[None]:
        """Check the size, then GraphQL's rules up to 5 errors; Strawberry's own run is skipped."""
        context = self.execution_context
        text, document = context.query or "", context.graphql_document
        if document is None:  # parsing failed and said so
            yield
            return
        name = context._provided_operation_name
        if self._known.get(text) is document:
            refused = check_choice(document, name)
            context.pre_execution_errors = [refused] if refused is not None else []
            yield
            return
        context.pre_execution_errors = check(
            context.schema._schema, document, name, introspection=self._introspection
        )
        if not context.pre_execution_errors:
            self._known.keep(document, text)
        yield
