"""Operations: parsed, bounded and checked once, whichever transport they come by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.language import FieldNode
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from carnet.errors import ValidationFailed
from carnet_graphql.masking import ERROR_LIMIT
from carnet_graphql.operations.known import Known
from carnet_graphql.operations.limits import TEXT_LIMIT, TOKEN_LIMIT, check_choice, check_size

FOLLOWED_TEXT = 64 * 1024  # characters of a subscription, and bytes of its variables: they stay
AFTER = "after"
RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
READ = "carnet.operation"  # the operation that was read before, in Strawberry's own extensions


@dataclass(frozen=True, slots=True)
class Operation:
    """A checked document with the operation to run.

    ``own`` names the variables in which otherwise equal subscriptions of clients may differ: the
    one for ``after``, unless something else uses it too.
    """

    text: str
    name: str | None
    document: DocumentNode
    node: OperationDefinitionNode
    own: str | None

    @property
    def type(self) -> OperationType:
        """Whether it asks, acts or follows."""
        return self.node.operation

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
    """Parses and checks, and remembers what was right.

    Args:
        schema: what operations are checked against.
        introspection: False tells the schema to nobody: no introspection, no «did you mean».
    """

    def __init__(self, schema: GraphQLSchema, *, introspection: bool) -> None:
        self.schema = schema
        self.introspection = introspection
        self._known: Known[Operation] = Known()

    def read(self, text: str, name: str | None) -> Operation | list[GraphQLError]:
        """Return the operation, or what is wrong with it: at most 5 errors, the size first."""
        known = self._known.get(text, name)
        if known is not None:
            return known
        if len(text) > TEXT_LIMIT:
            return [GraphQLError(f"A document has at most {TEXT_LIMIT} characters.")]
        try:
            document = parse(text, max_tokens=TOKEN_LIMIT)
        except GraphQLError as error:
            return [error]
        errors = self._check(document, name)
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
        operation = Operation(text, name, document, found, own)
        self._known.keep(operation, text, name)
        return operation

    def _check(self, document: DocumentNode, name: str | None) -> list[GraphQLError]:
        refused = check_size(document) or check_choice(document, name)
        if refused is not None:
            return [refused]
        errors = validate(
            self.schema,
            document,
            RULES if self.introspection else (*RULES, NoSchemaIntrospectionCustomRule),
            max_errors=ERROR_LIMIT,
            hide_suggestions=not self.introspection,
        )
        return [
            # graphql-core fails on a number of more than 4300 digits, and on letters that have two
            # when they are small where it looks for names that are like them.
            error
            if isinstance(error.original_error, GraphQLError | None)
            else GraphQLError("A value cannot be read.", error.nodes)
            for error in errors
        ]


class Checking(SchemaExtension):
    """Lets Strawberry run only what `Operations` has read; its own checks are skipped."""

    def __init__(self, operations: Operations) -> None:
        super().__init__()
        self._operations = operations
        self._errors: list[GraphQLError] = []

    def on_parse(self) -> Iterator[None]:
        """Take the document of an operation that was read before, or read it now."""
        context = self.execution_context
        found = (context.operation_extensions or {}).get(READ)
        if not isinstance(found, Operation):
            found = self._operations.read(context.query or "", context._provided_operation_name)
        if isinstance(found, Operation):
            context.graphql_document = found.document
        else:
            self._errors = found
            context.parse_options["max_tokens"] = TOKEN_LIMIT  # Strawberry parses, and says why
        yield

    def on_validate(self) -> Iterator[None]:
        """Say what `Operations` found."""
        self.execution_context.pre_execution_errors = self._errors
        yield


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
