"""How a schema is put together: scalars, refusals, limits and masking are the same for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import strawberry
from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    get_named_type,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.types import ExecutionContext, ExecutionResult

from carnet.errors import OperationTooCostly
from carnet.settings import Settings
from carnet_graphql.context import Context
from carnet_graphql.errors import EXCEPTION_HANDLERS
from carnet_graphql.masking import Masking, mask_exception
from carnet_graphql.operations.cost import Costs
from carnet_graphql.operations.operation import READ, Checking, Operation, Operations
from carnet_graphql.scalars import SCALARS
from carnet_graphql.value_texts import VALUE_TEXTS

ROOM = 2  # times what one operation may cost: the fields that lists may make it after all


class _Executor(StrawberryGraphQLCoreExecutionContext):
    """Makes no more of an answer than `ROOM` allows, whatever lists turn out to hold.

    It says nothing of names that are like what a variable holds: graphql-core 3.3 fails to find
    them for a letter that has two when it is small, and the schema would be told in production.
    """

    @classmethod
    def build(cls, *args: Any, **kwargs: Any) -> Any:
        return super().build(*args, **kwargs | {"hide_suggestions": True})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        context = self.context_value
        settings = context.settings if isinstance(context, Context) else Settings()
        self._most = ROOM * settings.query_cost_limit
        self._made = 0

    def execute_fields(
        self, parent_type: Any, source_value: Any, path: Any, fields: Any, *args: Any
    ) -> Any:
        if not parent_type.name.startswith("__"):
            self._made += len(fields)
        return super().execute_fields(parent_type, source_value, path, fields, *args)

    def complete_list_value(
        self,
        return_type: Any,
        field_details_list: Any,
        info: Any,
        path: Any,
        result: Any,
        *args: Any,
    ) -> Any:
        if isinstance(result, list) and not _is_told_whole(info, path):
            node = info.field_nodes[0].selection_set
            coming = self._made + len(result) * (len(node.selections) if node else 0)
            if coming > self._most:
                raise OperationTooCostly(coming, self._most)
        return super().complete_list_value(
            return_type, field_details_list, info, path, result, *args
        )


def _is_told_whole(info: Any, path: Any) -> bool:
    """Tell a list of introspection, which is priced by another measure, or of what an action
    answers: whoever sent 5,000 items hears of each."""
    if info.parent_type.name.startswith("__"):
        return True
    is_action = info.operation.operation is OperationType.MUTATION
    return is_action and path.prev is not None and path.prev.prev is None


class CarnetSchema(strawberry.Schema):
    """A schema that leaves logging to `carnet_graphql.masking`, and gives no answer before what
    it read is in the access journal."""

    operations: Operations
    costs: Costs

    async def run(
        self, operation: Operation, variables: dict[str, Any] | None, context: Context
    ) -> ExecutionResult:
        """Run a query or mutation that was read before."""
        return await self.execute(
            operation.text,
            variable_values=variables,
            context_value=context,
            operation_name=operation.name,
            operation_extensions={READ: operation},
        )

    async def execute(self, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Run one operation, and write down what it read."""
        result = await super().execute(*args, **kwargs)
        context = kwargs.get("context_value")
        if not isinstance(context, Context):
            return result
        try:
            await context.settle()
        except Exception as error:  # whatever went wrong, nothing unwritten leaves
            return ExecutionResult(None, mask_exception(error, context.correlation_id))
        return result

    def _extend_introspection(self) -> None:
        """Leave ``isOneOf`` to graphql-core: Strawberry's fails for enums, unions and scalars
        (strawberry-graphql 0.341), once for each type that is asked for it."""

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Do nothing: Strawberry would log messages and tracebacks that may hold values."""


def build(
    query: type,
    mutation: type | None = None,
    subscription: type | None = None,
    *,
    types: Sequence[type] = (),
    introspection: bool = True,
) -> CarnetSchema:
    """Return the schema of these roots.

    Args:
        query: root type of queries; inherits from `carnet_graphql.node.NodeQuery`.
        mutation: root type of mutations.
        subscription: root type of subscriptions.
        types: types that no field names, only an interface does.
        introspection: False hides the schema from clients, as in production.
    """
    built = CarnetSchema(
        query,
        mutation,
        subscription,
        types=types,
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=[Masking, lambda: Checking(built.operations)],
        exception_handlers=EXCEPTION_HANDLERS,
        execution_context_class=_Executor,
    )
    _describe(built._schema)
    built.operations = Operations(built._schema, introspection=introspection)
    built.costs = Costs(built._schema)
    return built


def _describe(schema: GraphQLSchema) -> None:
    """Describe what is described at one place for all: values of enums, and inputs of mutations."""
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLEnumType):
            for name, text in VALUE_TEXTS.get(kind.name, {}).items():
                kind.values[name].description = text
    mutations = schema.mutation_type.fields.values() if schema.mutation_type else ()
    for field in mutations:
        if "input" in field.args:
            given = field.args["input"]
            given.description = given.description or get_named_type(given.type).description
