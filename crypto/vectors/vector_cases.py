"""Cases as they are written down, each with the verdict that its author expects."""

from __future__ import annotations

from typing import Any

from vector_operations import run
from vector_world import In, World


class Cases:
    """The cases of one file. A case that turns out otherwise than expected is not written."""

    def __init__(self, about: str, world: World) -> None:
        self.about = about
        self._world = world
        self._cases: list[dict[str, Any]] = []

    def add(self, name: str, do: str, given: In, expect: str = "ok") -> In:
        """Add a case; return what it comes to.

        Args:
            name: what the case is, once in a file.
            do: the operation.
            given: what it takes.
            expect: ``ok``, or the failure's name.
        """
        if any(case["name"] == name for case in self._cases):
            raise ValueError(f"{name}: twice")
        verdict, out = run(self._world, do, given)
        if verdict != expect:
            raise AssertionError(f"{name}: {verdict}, not {expect}")
        case: dict[str, Any] = {"name": name, "do": do, "in": given, "expect": expect}
        if expect == "ok":
            case["out"] = out
        self._cases.append(case)
        return out

    def with_chain(self, name: str, entries: list[bytes]) -> None:
        """Let cases name one more chain."""
        self._world.chains[name] = [entry.hex() for entry in entries]

    def with_log(self, name: str, entries: list[dict[str, Any]]) -> None:
        """Let cases name one more control log."""
        self._world.logs[name] = entries

    def sweep(self, name: str, do: str, given: In, field: str) -> None:
        """Add a case in which every byte of a field is changed and cut: nothing passes."""
        self._check_refuses(self.add(name, "sweep", {"do": do, "in": given, "field": field}))

    @staticmethod
    def _check_refuses(out: In) -> None:
        if "ok" in out["counts"]:
            raise AssertionError(f"a change passed: {out['counts']}")

    def written(self) -> dict[str, Any]:
        """Return the file's content."""
        return {"about": self.about, "cases": self._cases}
