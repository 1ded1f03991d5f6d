"""Operations of a streaming transport: parsed and checked once, whoever sends them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    GraphQLError,
    OperationType,
    VariableNode,
    Visitor,
    get_operation_ast,
    parse,
    visit,
)
from graphql.language import FieldNode

from carnet.errors import ValidationFailed
from carnet_graphql.assembly import CarnetSchema
from carnet_graphql.known import Known
from carnet_graphql.limits import TOKEN_LIMIT, check

FOLLOWED_TEXT = 64 * 1024  # characters of a subscription, and bytes of its variables: they stay
AFTER = "after"


@dataclass(frozen=True, slots=True)
class Operation:
    """A checked document with the operation to run.

    ``own`` names the variables in which otherwise equal subscriptions of clients may differ: the
    one for ``after``, unless something else uses it too.
    """

    text: str
    name: str | None
    document: DocumentNode
    type: OperationType
    own: str | None

    def share_key(self, variables: dict[str, Any] | None) -> bytes:
        """Return what is the same for clients who select the same.

        Raises:
            ValidationFailed: the variables are too large, or nested too deep.
        """
        shared = {key: value for key, value in (variables or {}).items() if key != self.own}
        try:
            found = orjson.dumps(shared, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:
            raise ValidationFailed("variables are nested too deep.") from None
        if len(found) > FOLLOWED_TEXT:
            raise ValidationFailed(f"variables of a subscription: at most {FOLLOWED_TEXT} bytes.")
        return found


class Operations:
    """Parses and checks, and remembers what was right."""

    def __init__(self, schema: CarnetSchema) -> None:
        self.schema = schema
        self._known: Known[Operation] = Known()

    def read(self, text: str, name: str | None) -> Operation | list[GraphQLError]:
        """Return the operation, or what is wrong with it."""
        known = self._known.get(text, name)
        if known is not None:
            return known
        try:
            document = parse(text, max_tokens=TOKEN_LIMIT)
        except GraphQLError as error:
            return [error]
        errors = check(self.schema._schema, document, name, introspection=self.schema.introspection)
        if errors:
            return errors
        found = get_operation_ast(document, name)
        if found is None:
            return [GraphQLError("There is no operation of that name.")]
        own = None
        if found.operation is OperationType.SUBSCRIPTION:
            if len(text) > FOLLOWED_TEXT:
                return [GraphQLError(f"A subscription has at most {FOLLOWED_TEXT} characters.")]
            own = _variable_for_after(document, found.selection_set.selections[0])
        operation = Operation(text, name, document, found.operation, own)
        self._known.keep(operation, text, name)
        return operation


def _variable_for_after(document: DocumentNode, root: Any) -> str | None:
    """Return the variable of the root field's ``after``, if nothing else can be using it."""
    if not isinstance(root, FieldNode):
        return None
    for argument in root.arguments or ():
        if argument.name.value == AFTER and isinstance(argument.value, VariableNode):
            name = argument.value.name.value
            uses = _Uses(name)
            visit(document, uses)
            if uses.count == 2:  # where it is declared, and here
                return name
    return None


class _Uses(Visitor):
    """Counts where a variable of this name stands."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.count = 0
        self._name = name

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        """Count one."""
        self.count += node.name.value == self._name
