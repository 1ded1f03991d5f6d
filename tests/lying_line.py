"""A line to a real server that cuts, records, and answers otherwise what a test names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

Lie = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | None]
"""Takes the variables and the honest answer; returns another answer, or changes that one."""


class LyingLine(httpx.AsyncBaseTransport):
    """Operations are called by their names in the documents of `carnet_client.operations`."""

    def __init__(self) -> None:
        self._real = httpx.AsyncHTTPTransport()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answered: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.lies: dict[str, Lie] = {}
        self.instead: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {}
        self.cut_before: set[str] = set()
        self.cut_after: set[str] = set()

    def variables(self, name: str) -> list[dict[str, Any]]:
        """Return with what an operation was asked for, each time."""
        return [variables for each, variables in self.asked if each == name]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/graphql":
            return await self._real.handle_async_request(request)
        body = json.loads(await request.aread())
        name, variables = body["operationName"], body["variables"]
        self.asked.append((name, variables))
        if name in self.cut_before:
            raise httpx.ReadError("the line is cut", request=request)
        if name in self.instead:
            made = self.instead[name](variables)
            if made is not None:
                return httpx.Response(200, json=made, request=request)
        answer = await self._real.handle_async_request(request)
        shape = json.loads(await answer.aread())
        await answer.aclose()
        if name in self.cut_after:
            raise httpx.ReadError("the line is cut", request=request)
        if name in self.lies:
            shape = self.lies[name](variables, shape) or shape
        self.answered.append((name, variables, shape))
        return httpx.Response(answer.status_code, json=shape, request=request)

    async def aclose(self) -> None:
        await self._real.aclose()


def refusal(field: str, kind: str, code: str = "SOME_CODE", **more: Any) -> dict[str, Any]:
    """Return the answer of a mutation that was refused."""
    payload = {"__typename": kind, "code": code, "message": f"Not so: {kind}.", "path": None}
    return {"data": {field: {**payload, **more}}}
