"""The vectors: replayed, complete, and just what the generator makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from generate import generate
from vector_operations import OPERATIONS, run
from vector_world import World

from carnet_crypto.chain_bodies import EntryType
from carnet_crypto.control_bodies import ControlType
from carnet_crypto.errors import Reason
from carnet_crypto.labels import CONTEXT, Label
from carnet_crypto.secret.header import Kind

FOLDER = Path(__file__).parents[2] / "crypto" / "vectors"
FILES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
CASES = [(name, case) for name, file in FILES.items() for case in file.get("cases", ())]
CHECKED_ELSEWHERE = {Reason.AHEAD_OF_TIME}  # of contacts: test_contacts.py


@pytest.fixture(scope="module")
def vectors() -> World:
    return World(FILES["given"])


@pytest.mark.parametrize("name", [name for name, file in FILES.items() if "cases" in file])
def test_every_case_comes_to_what_it_says(name: str, vectors: World) -> None:
    wrong = []
    for case in FILES[name]["cases"]:
        verdict, out = run(vectors, case["do"], case["in"])
        if verdict != case["expect"] or out != case.get("out", {}):
            wrong.append((case["name"], verdict))
    assert wrong == []


def test_the_generator_makes_just_these_files() -> None:
    made = generate()
    assert sorted(made) == sorted(path.name for path in FOLDER.glob("*.json"))
    changed = [name for name, text in made.items() if text != (FOLDER / name).read_text()]
    assert changed == []


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in CHECKED_ELSEWHERE])
def test_a_case_is_refused_for(reason: Reason) -> None:
    assert any(case["expect"] == f"refused:{reason.value}" for _, case in CASES)


@pytest.mark.parametrize("failure", ["malformed", "signature", "proof", "open"])
def test_a_case_fails_with(failure: str) -> None:
    assert any(case["expect"] == failure for _, case in CASES)


def done(operation: str) -> list[Any]:
    found = [case for _, case in CASES if case["do"] == operation and case["expect"] == "ok"]
    assert found
    return found


def test_every_operation_kind_and_label_has_cases() -> None:
    assert {case["do"] for _, case in CASES} == set(OPERATIONS)
    assert {case["out"]["type"] for case in done("chain.entry")} == set(EntryType)
    assert {case["out"]["type"] for case in done("control.entry")} == set(ControlType)
    assert {case["in"]["kind"] for case in done("content.read")} == set(Kind)
    assert {case["out"]["header"]["kind"] for case in done("message.open")} == set(Kind)
    assert {case["in"]["label"] for case in done("digest")} == set(Label)


def test_nothing_that_was_changed_passes() -> None:
    for case in done("sweep"):
        assert "ok" not in case["out"]["counts"]
    assert len(done("sweep")) >= 15


def test_names_are_said_once() -> None:
    for name, file in FILES.items():
        names = [case["name"] for case in file.get("cases", ())]
        assert len(set(names)) == len(names), name


def test_the_registry_of_labels_is_the_code_s() -> None:
    registry = FILES["labels"]
    assert registry["context"] == CONTEXT
    assert registry["labels"] == {label.name: label.value for label in Label}
    for value in registry["labels"].values():
        assert value.isascii() and "\x00" not in value and "/" not in value
    assert len(set(registry["labels"].values())) == len(Label)
