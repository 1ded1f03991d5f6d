"""The examples of docs/notifications.md work, in their order, for somebody who follows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import graph
import telling
import world
from mailing import Mailbox, smtp_server
from pushing import PushService, push_service

from carnet.notifications.channels import Channels
from carnet.notifications.rules import (
    CODE_DIGITS,
    CODE_LIFE,
    CODE_TRIES,
    CODES_OF_RECIPIENT,
    CODES_TO_ADDRESS,
    DEVICES_LIMIT,
    MANDATORY,
)
from carnet.store.blobs import BlobStore
from carnet.store.database import Database

GUIDE = (Path(__file__).parents[2] / "docs/notifications.md").read_text()
BLOCK = re.compile(r"```(graphql|json)\n(.*?)```", re.DOTALL)


def examples() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each operation with its variables."""
    blocks = BLOCK.findall(GUIDE)
    for number, (language, text) in enumerate(blocks):
        if language == "graphql":
            follows = blocks[number + 1 : number + 2]
            is_json = bool(follows) and follows[0][0] == "json"
            yield text, json.loads(follows[0][1]) if is_json else {}


async def test_the_examples_work_in_their_order(
    database: Database, blobs: BlobStore, tmp_path: Path
) -> None:
    patient = await world.holder(database)
    done: list[Any] = []
    async with smtp_server(Mailbox()) as mailbox, push_service(PushService()) as service:
        browser = service.browser()
        push = telling.push_sender(tmp_path)
        sender = telling.mail_sender(mailbox)
        real = {"ENDPOINT": browser.endpoint, "P256DH": browser.keys["p256dh"]}
        real["AUTH"] = browser.keys["auth"]
        for operation, variables in examples():
            given = variables.get("input", {})
            given.update({k: real[v] for k, v in given.items() if isinstance(v, str) and v in real})
            context = graph.context_of(database, blobs, patient)
            context.channels = Channels(sender, push)
            data, errors = await graph.answer(context, operation, variables)
            assert errors == [], operation
            done.append(data)
            await telling.deliver(database, sender)
            if mailbox.mails:
                real["CODE"] = telling.code_in(mailbox)
        await telling.tell(database, patient)
        await telling.deliver(database, sender)
        await telling.deliver(database, push)
    asked, requested, confirmed, added, chosen = done
    assert asked["viewer"]["notificationPreferences"]["locale"] == "FR"
    pending = requested["requestNotificationEmail"]["preferences"]["pendingEmail"]
    assert pending == {"address": "alix@example.org", "triesLeft": 5}
    email = confirmed["confirmNotificationEmail"]["preferences"]["email"]
    assert email == {"address": "alix@example.org"}
    (device,) = added["addPushDevice"]["preferences"]["devices"]
    assert device["name"] == "Firefox"
    kinds = chosen["setNotificationPreferences"]["preferences"]["kinds"]
    export = next(each for each in kinds if each["kind"] == "EXPORT_READY")
    assert export["outgoingChannels"] == ["WEB_PUSH"]
    assert len(mailbox.mails) == 1  # the code only
    (pushed,) = service.pushed
    (shape,) = re.findall(r"const \{ ([\w, ]+) \} = event\.data\.json", GUIDE)
    assert set(shape.split(", ")) == set(pushed.payload)


def test_the_guide_says_the_limits_as_they_are() -> None:
    assert (CODE_DIGITS, CODE_TRIES, CODE_LIFE.total_seconds()) == (6, 5, 1800)
    assert (CODES_OF_RECIPIENT, CODES_TO_ADDRESS, DEVICES_LIMIT) == (5, 3, 10)
    listed = set(re.findall(r"^\| `([A-Z_]+)`", GUIDE, re.MULTILINE))
    assert listed == {kind.value for kind in MANDATORY}
