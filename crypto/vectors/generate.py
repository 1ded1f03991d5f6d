"""Writes the vectors of the protocol, the same ones each time.

    python crypto/vectors/generate.py            write the files
    python crypto/vectors/generate.py --check    say which would change, and fail if any would

Randomness comes from streams with fixed seeds, time is fixed. Each case states its verdict, and the
generator stops where the protocol decides otherwise.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from vector_account_keys import keys, make_people
from vector_accounts import accounts
from vector_basics import encoding, labels, padding
from vector_basics import keys as basic_keys
from vector_directory import checkpoints, directories
from vector_messages import bodies, files, messages
from vector_recovery import make_saver, pairings, recoveries, safety
from vector_threads import threads
from vector_world import World
from vector_wraps import make_logs, wraps

HERE = Path(__file__).parent


def generate() -> dict[str, str]:
    """Return the text of every file by its name."""
    people = make_people()
    people["saver"] = make_saver()
    logs = make_logs(people)
    world = World(
        {
            "chains": {name: [e.hex() for e in each.chain] for name, each in people.items()},
            "logs": {name: log.entries for name, log in logs.items()},
        }
    )
    files_ = {
        "encoding": encoding(world),
        "padding": padding(world),
        "keys": basic_keys(world),
        "chains": accounts(world, people),
        "account_keys": keys(world, people),
        "control_logs": threads(world, people, logs),
        "wraps": wraps(world, people, logs),
        "bodies": bodies(world),
        "messages": messages(world, people, logs),
        "files": files(world),
        "recovery": recoveries(world, people),
        "pairing": pairings(world, people),
        "safety": safety(world, people),
        "checkpoints": checkpoints(world, people),
        "directory": directories(world, people),
    }
    contents: dict[str, Any] = {name: cases.written() for name, cases in files_.items()}
    contents["labels"] = labels()
    contents["given"] = {
        "about": "Chains and logs that cases name: `name`, or `name:3` for its first three.",
        "chains": world.chains,
        "logs": world.logs,
    }
    return {f"{name}.json": _text(content) for name, content in sorted(contents.items())}


def _text(content: dict[str, Any]) -> str:
    """Return JSON in ASCII, a case to a line."""
    lines = []
    for key, value in content.items():
        if isinstance(value, list):
            inner = ",\n".join("  " + json.dumps(each) for each in value)
            lines.append(f" {json.dumps(key)}: [\n{inner}\n ]")
        elif isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(arguments: list[str]) -> int:
    """Write the files, or compare them."""
    made = generate()
    present = {path.name for path in HERE.glob("*.json")}
    changed = sorted(
        name
        for name in {*made, *present}
        if name not in present or made.get(name) != (HERE / name).read_text()
    )
    sys.stdout.write("".join(f"{name} changes\n" for name in changed))
    if arguments == ["--check"]:
        return 1 if changed else 0
    for name in changed:
        if name in made:
            (HERE / name).write_text(made[name])
        else:
            (HERE / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
