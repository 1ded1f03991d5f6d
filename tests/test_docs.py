"""Guides name everything there is, and nothing else."""

import re
from pathlib import Path

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from carnet.access.rules import RULES
from carnet.access.verifying import Problem
from carnet.cli.names import known_names
from carnet.cli.safety import Danger
from carnet.http import metrics
from carnet.http.operations.messages import CloseCode
from carnet.intake.formats import READERS
from carnet.intake.model import Flag, Reason
from carnet.intake.receipt import Outcome
from carnet.messaging.rules import RULES as MESSAGING_RULES
from carnet.sandbox.personas import HANDLES

ROOT = Path(__file__).parents[1]


def codes(text: str) -> set[str]:
    return set(re.findall(r"`([A-Z][A-Z0-9_]+)`", text))


def test_publishers_find_every_outcome_reason_and_flag() -> None:
    guide = (ROOT / "docs/publishers.md").read_text()
    assert codes(guide) == {member.value for kind in (Outcome, Reason, Flag) for member in kind}
    for media_type in re.findall(r"`((?:application|text)/[\w.+-]+)`", guide):
        assert media_type in READERS


def test_operators_find_every_setting() -> None:
    guide = (ROOT / "docs/operations.md").read_text()
    listed = re.findall(r"^\| `(CARNET_[A-Z_]+)`", guide, re.MULTILINE)
    assert sorted(listed) == sorted(known_names())


def test_operators_find_every_metric() -> None:
    guide = (ROOT / "docs/operations.md").read_text()
    listed = set(re.findall(r"^\| `(carnet_\w+)` \|", guide, re.MULTILINE))
    made = {each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)}
    counted = {f"{each._name}_total" if isinstance(each, Counter) else each._name for each in made}
    assert listed == counted


def test_operators_find_every_danger() -> None:
    guide = (ROOT / "docs/operations.md").read_text().split("## What is unsafe")[1]
    listed = re.findall(r"^\| `([A-Z_]+)` \|", guide, re.MULTILINE)
    assert listed == [danger.value for danger in Danger]


def test_decisions_are_short_and_listed() -> None:
    folder = ROOT / "docs/decisions"
    index = (folder / "README.md").read_text()
    for path in folder.glob("0*.md"):
        assert len(path.read_text().splitlines()) <= 40, path.name
        assert f"({path.name})" in index


def test_the_readmes_persona_exists() -> None:
    (handle,) = re.findall(r"token --as (\w+)", (ROOT / "README.md").read_text())
    assert handle in HANDLES


def test_every_rule_of_access_is_in_its_guide() -> None:
    guide = (ROOT / "docs/access.md").read_text()
    listed = dict(re.findall(r"^\| `([a-z.-]+)` \| (.+) \|$", guide, re.MULTILINE))
    assert listed == RULES


def test_operators_find_every_problem_of_a_journal() -> None:
    guide = (ROOT / "docs/journal.md").read_text()
    listed = set(re.findall(r"^\| `([A-Z_]+)`", guide, re.MULTILINE))
    assert listed == {problem.value for problem in Problem}


def test_every_rule_that_the_server_names_has_a_meaning() -> None:
    named: set[str] = set()
    for path in (ROOT / "app/carnet").rglob("*.py"):
        text = path.read_text()
        named.update(re.findall(r'AccessDenied\(\s*"([a-z.-]+)"', text))
        named.update(re.findall(r'Fact\([^()]*?"([a-z]+(?:-[a-z]+)*\.[a-z.-]+)"', text))
    assert len(named) > 20
    assert named <= set(RULES) | set(MESSAGING_RULES)


def test_front_ends_find_every_close_code_and_field_of_subscriptions() -> None:
    guide = (ROOT / "docs/subscriptions.md").read_text()
    listed = re.findall(r"^\| (\d{4}) `([A-Z_]+)`", guide, re.MULTILINE)
    assert {name: int(code) for code, name in listed} == {
        code.name: code.value for code in CloseCode
    }
    fields = set(re.findall(r"^\| `(\w+)\(", guide, re.MULTILINE))
    schema = (ROOT / "schema.graphql").read_text()
    body = re.search(r"^type Subscription \{(.*?)^\}", schema, re.MULTILINE | re.DOTALL)
    assert body is not None
    assert fields == set(re.findall(r"^  (\w+)\(", body[1], re.MULTILINE))
    named = codes(guide) - {code.name for code in CloseCode}
    known = set(re.findall(r"^  ([A-Z_]+)$", schema, re.MULTILINE))
    assert named <= known


def test_every_rule_of_messaging_is_in_its_guide() -> None:
    guide = (ROOT / "docs/messaging.md").read_text()
    listed = dict(re.findall(r"^\| `(messaging\.[a-z-]+)` \| (.+) \|$", guide, re.MULTILINE))
    assert listed == MESSAGING_RULES
