"""The command line: which parts, with how many examples, on what server."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from harness import node, page, results
from harness.parts import EXAMPLES, PARTS, SEEDS, Run
from harness.results import Check, Outcome
from harness.server import ROOM, ServerFailed, serving
from harness.stopping import Stopped, stop_in_order, whole

EXAMPLE_TEXT = """\
examples:
  make conformance                                     everything: some 15 minutes on two cores
  make conformance ARGS="graphql-http relay eslint"    these parts: a minute
  make conformance ARGS="schemathesis --examples 5 --seed 7"
  make conformance ARGS="--set CARNET_QUERY_BUDGET=10000 graphql-http"

What was not run keeps its former result in docs/conformance.md. Ends with 1 when something fails.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run parts, write the page, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="conformance/run.py",
        description="Hold a sandbox server against audits, clients, compilers and a fuzzer that"
        " others publish, and write docs/conformance.md.",
        epilog="parts:\n"
        + "".join(f"  {name:14} {part.title}\n" for name, part in PARTS.items())
        + "\n"
        + EXAMPLE_TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", help="which parts to run; without any, all")
    parser.add_argument(
        "--examples",
        type=int,
        default=EXAMPLES,
        metavar="N",
        help=f"documents that Schemathesis makes for each operation (default: {EXAMPLES})",
    )
    parser.add_argument(
        "--seed",
        type=int,
        action="append",
        metavar="N",
        help=f"a seed of Schemathesis; may be repeated (default: {', '.join(map(str, SEEDS))})",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the server; may be repeated (always set: "
        + ", ".join(f"{name}={value}" for name, value in ROOM.items())
        + ")",
    )
    parser.add_argument(
        "--no-page", action="store_true", help="tell only, and leave docs/conformance.md alone"
    )
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.part) - set(PARTS))
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    if given.examples < 1:
        parser.error("--examples is 1 or more")
    settings = dict(pair.partition("=")[::2] for pair in given.set)
    if not all(name.startswith("CARNET_") for name in settings):
        parser.error("--set takes CARNET_…=VALUE")
    run = Run(_tell, given.examples, given.seed or SEEDS, settings)
    try:
        stop_in_order()
        outcomes = run_parts(given.part or list(PARTS), run)
        if not given.no_page:
            with whole():
                keep(outcomes)
            _tell(f"Written: {page.FILE.relative_to(node.HERE.parent)}")
    except Stopped as stopped:
        print("conformance: stopped", file=sys.stderr)
        return stopped.code
    except (node.NodeMissing, node.NodeFailed, ServerFailed) as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 1
    return 0 if all(outcome.is_whole for outcome in outcomes.values()) else 1


def keep(
    outcomes: dict[str, Outcome], file: Path = results.FILE, page_file: Path = page.FILE
) -> None:
    """Keep outcomes beside those of other parts, and write the page of all."""
    kept = results.load(file) | outcomes
    results.save({name: kept[name] for name in PARTS if name in kept}, file)
    page.write(kept, page_file)


def run_parts(names: Sequence[str], run: Run) -> dict[str, Outcome]:
    """Run parts one after the other; tell what came of each.

    Raises:
        NodeMissing: Node is not there, and a part needs it.
        NodeFailed: its packages could not be installed.
        ServerFailed: the server does not start.
    """
    needs = frozenset().union(*(PARTS[name].needs for name in names))
    outcomes = {}
    with ExitStack() as stack:
        if "node" in needs:
            run.tell("Node's packages")
            node.install()
        if "server" in needs:
            run.tell("A sandbox server")
            run.server = stack.enter_context(serving(run.settings))
        for name in names:
            run.tell(f"{PARTS[name].title}: {PARTS[name].about}")
            outcomes[name] = outcome = _asked(name, run)
            for check in outcome.checks:
                if not check.passed:
                    run.tell(f"  FAILED {check.name}: {check.reason}")
            run.tell(f"  {outcome.passed} of {len(outcome.checks)}")
    return outcomes


def _asked(name: str, run: Run) -> Outcome:
    try:
        return PARTS[name].run(run)
    except node.NodeFailed as error:  # one broken part does not keep the others from being run
        return Outcome([Check("it runs", False, str(error))])


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)
