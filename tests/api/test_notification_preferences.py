"""How a viewer chooses what goes out: over GraphQL, as a client does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import graph
import pytest
import telling
import world
from mailing import Mailbox, smtp_server
from pushing import PushService, push_service

from carnet.notifications.channels import Channels
from carnet.notifications.rules import MANDATORY
from carnet.notifications.tables import NotificationKind
from carnet.people.actor import Actor, Anonymous, Assurance, Operator
from carnet.store.blobs import BlobStore
from carnet.store.database import Database
from carnet_graphql.node import write_id
from carnet_graphql.people import Patient

OPERATOR = Operator(UUID(int=9), Assurance.PASSWORD)
PREFERENCES = """locale channels { channel isAvailable isSetUp } webPushKey appUrl
  email { address confirmedAt isUndeliverable refusedAt }
  pendingEmail { address expiresAt triesLeft }
  devices { id name createdAt refusedAt }
  kinds { kind isMandatory channels outgoingChannels }"""
READ = f"""query {{ viewer {{ __typename
  ... on Patient {{ notificationPreferences {{ {PREFERENCES} }} }}
  ... on Professional {{ notificationPreferences {{ {PREFERENCES} }} }} }} }}"""


def mutation(name: str) -> str:
    kind = name[0].upper() + name[1:]
    return f"""mutation M($input: {kind}Input!) {{ {name}(input: $input) {{ __typename
      ... on {kind}Success {{ preferences {{ {PREFERENCES} }} }}
      ... on RateLimited {{ retryAfter }}
      ... on UserError {{ code message path }} }} }}""".replace(
        "... on RateLimited { retryAfter }",
        "... on RateLimited { retryAfter }" if name == "requestNotificationEmail" else "",
    )


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with smtp_server(Mailbox()) as served:
        yield served


@pytest.fixture
async def service() -> AsyncIterator[PushService]:
    async with push_service(PushService()) as served:
        yield served


class Client:
    """One viewer of a server with these channels."""

    def __init__(
        self, database: Database, blobs: BlobStore, actor: Actor, channels: Channels
    ) -> None:
        self.database, self.blobs, self.actor, self.channels = database, blobs, actor, channels

    async def ask(self, query: str, **variables: Any) -> Any:
        context = graph.context_of(self.database, self.blobs, self.actor)
        context.channels = self.channels
        data, errors = await graph.answer(context, query, variables)
        assert errors == []
        return data

    async def preferences(self) -> Any:
        viewer = (await self.ask(READ))["viewer"]
        return viewer["notificationPreferences"]

    async def do(self, name: str, /, **given: Any) -> Any:
        return (await self.ask(mutation(name), input=given))[name]

    async def kinds(self) -> dict[str, tuple[list[str], list[str]]]:
        found = (await self.preferences())["kinds"]
        return {each["kind"]: (each["channels"], each["outgoingChannels"]) for each in found}


@pytest.fixture
def channels(mailbox: Mailbox, tmp_path: Path) -> Channels:
    return Channels(telling.mail_sender(mailbox), telling.push_sender(tmp_path))


@pytest.fixture
async def client(database: Database, blobs: BlobStore, channels: Channels) -> Client:
    return Client(database, blobs, await world.holder(database), channels)


async def test_at_first_everything_would_go_everywhere_and_goes_nowhere(client: Client) -> None:
    found = await client.preferences()
    assert (found["locale"], found["email"], found["pendingEmail"]) == ("FR", None, None)
    assert found["devices"] == [] and found["appUrl"] == telling.LINK
    assert client.channels.push is not None
    assert found["webPushKey"] == client.channels.push.key.public_key
    assert found["channels"] == [
        {"channel": name, "isAvailable": True, "isSetUp": False} for name in ("EMAIL", "WEB_PUSH")
    ]
    kinds = {kind.value for kind in NotificationKind} - {"VOLUME_ALARM"}
    assert {each["kind"] for each in found["kinds"]} == kinds
    for each in found["kinds"]:
        assert each["channels"] == ["EMAIL", "WEB_PUSH"] and each["outgoingChannels"] == []
        assert each["isMandatory"] == (NotificationKind(each["kind"]) in MANDATORY)


async def test_an_address_from_the_first_word_to_the_last(
    client: Client, database: Database, mailbox: Mailbox
) -> None:
    key = str(uuid4())
    for _ in range(2):  # the same key sends one code
        asked = await client.do(
            "requestNotificationEmail", address="Alix@Example.org", idempotencyKey=key
        )
        assert asked["__typename"] == "RequestNotificationEmailSuccess"
        assert asked["preferences"]["pendingEmail"]["address"] == "Alix@example.org"
        assert asked["preferences"]["pendingEmail"]["triesLeft"] == 5
    await telling.deliver(database, telling.mail_sender(mailbox))
    assert len(mailbox.mails) == 1
    wrong = await client.do("confirmNotificationEmail", code="12345")
    assert (wrong["__typename"], wrong["path"]) == ("ValidationFailed", ["code"])
    assert (await client.preferences())["pendingEmail"]["triesLeft"] == 4
    key = str(uuid4())
    for _ in range(2):
        done = await client.do(
            "confirmNotificationEmail", code=telling.code_in(mailbox), idempotencyKey=key
        )
        assert done["__typename"] == "ConfirmNotificationEmailSuccess", done
    found = done["preferences"]
    assert found["email"]["address"] == "Alix@example.org" and found["email"]["confirmedAt"]
    assert found["pendingEmail"] is None and found["channels"][0]["isSetUp"]
    assert {tuple(each["outgoingChannels"]) for each in found["kinds"]} == {("EMAIL",)}
    removed = await client.do("removeNotificationEmail")
    assert removed["preferences"]["email"] is None
    assert (await client.do("removeNotificationEmail"))["__typename"] == "NotFound"


async def test_a_browser_is_added_listed_and_removed(client: Client, service: PushService) -> None:
    browser = service.browser()
    given = {"endpoint": browser.endpoint, **browser.keys, "name": "  Firefox   du salon "}
    key = str(uuid4())
    for _ in range(2):
        added = await client.do("addPushDevice", **given, idempotencyKey=key)
        assert added["__typename"] == "AddPushDeviceSuccess", added
    other = await client.do("addPushDevice", **{**given, "name": "x"}, idempotencyKey=key)
    assert other["__typename"] == "Conflict"
    (device,) = (await client.preferences())["devices"]
    assert device["name"] == "Firefox du salon"
    assert browser.endpoint not in str(added)
    stranger = Client(
        client.database, client.blobs, await world.holder(client.database), client.channels
    )
    refused = await stranger.do("removePushDevice", deviceId=device["id"])
    assert refused["__typename"] == "NotFound"
    node = "query($id: ID!) { node(id: $id) { __typename } }"
    assert (await stranger.ask(node, id=device["id"]))["node"] is None
    assert (await client.ask(node, id=device["id"]))["node"] == {"__typename": "PushDevice"}
    gone = await client.do("removePushDevice", deviceId=device["id"])
    assert gone["preferences"]["devices"] == []
    evil = await client.do("addPushDevice", **{**given, "endpoint": "ftp://x/"})
    assert (evil["__typename"], evil["path"]) == ("ValidationFailed", ["endpoint"])


async def test_an_endpoint_of_somebody_else_is_answered_as_one_of_nobody(
    client: Client, service: PushService
) -> None:
    database, blobs = client.database, client.blobs
    browser, own = service.browser(), service.browser()
    await client.do("addPushDevice", endpoint=browser.endpoint, **browser.keys, name="theirs")
    strangers = [
        Client(database, blobs, await world.holder(database), client.channels) for _ in range(2)
    ]
    answers = [
        await stranger.do("addPushDevice", endpoint=endpoint, **own.keys)
        for stranger, endpoint in zip(strangers, (browser.endpoint, own.endpoint), strict=True)
    ]
    for answer in answers:
        assert answer["__typename"] == "AddPushDeviceSuccess"
        (device,) = answer["preferences"]["devices"]
        assert device.pop("id") and device.pop("createdAt")
    assert answers[0] == answers[1]
    (device,) = (await client.preferences())["devices"]
    assert device["name"] == "theirs"


async def test_what_is_chosen_goes_out_and_the_rest_does_not(
    client: Client, database: Database, mailbox: Mailbox, service: PushService
) -> None:
    await telling.with_address(database, mailbox, client.actor)
    await telling.with_browser(database, client.actor, service.browser())
    mailbox.mails.clear()
    chosen = await client.do(
        "setNotificationPreferences",
        locale="EN",
        kinds=[
            {"kind": "EXPORT_READY", "channels": []},
            {"kind": "DELEGATION_ENDED", "channels": ["EMAIL"]},
            {"kind": "EMERGENCY_ACCESS", "channels": ["WEB_PUSH", "WEB_PUSH"]},
        ],
    )
    assert chosen["__typename"] == "SetNotificationPreferencesSuccess"
    assert chosen["preferences"]["locale"] == "EN"
    kinds = await client.kinds()
    assert kinds["EXPORT_READY"] == ([], [])
    assert kinds["DELEGATION_ENDED"] == (["EMAIL"], ["EMAIL"])
    assert kinds["EMERGENCY_ACCESS"] == (["WEB_PUSH"], ["WEB_PUSH"])
    assert kinds["RECORD_NOTICE"] == (["EMAIL", "WEB_PUSH"], ["EMAIL", "WEB_PUSH"])
    for kind in ("EXPORT_READY", "DELEGATION_ENDED", "EMERGENCY_ACCESS"):
        await telling.tell(database, client.actor, NotificationKind(kind))
    await telling.deliver(database, telling.mail_sender(mailbox))
    assert client.channels.push is not None
    await telling.deliver(database, client.channels.push)
    assert [mail["Subject"] for mail in mailbox.mails] == ["A delegation has ended"]
    assert [pushed.payload["title"] for pushed in service.pushed] == [
        "There was an access in an emergency"
    ]
    listed = "query { viewer { ... on Patient { notifications { totalCount } } } }"
    assert (await client.ask(listed))["viewer"]["notifications"]["totalCount"] == 3


@pytest.mark.parametrize("kind", sorted(MANDATORY))
async def test_what_a_rule_wants_told_is_not_silenced_on_the_last_channel(
    client: Client, database: Database, mailbox: Mailbox, kind: NotificationKind
) -> None:
    await telling.with_address(database, mailbox, client.actor)
    before = await client.preferences()
    for channels in ([], ["WEB_PUSH"]):  # the only one that is set up is left out
        refused = await client.do(
            "setNotificationPreferences",
            locale="EN",
            kinds=[
                {"kind": "EXPORT_READY", "channels": []},
                {"kind": kind.value, "channels": channels},
            ],
        )
        assert (refused["__typename"], refused["path"]) == (
            "ValidationFailed",
            ["kinds", "1", "channels"],
        )
        assert refused["message"] == f"{kind.value} must reach you: keep EMAIL."
    assert await client.preferences() == before


async def test_what_must_be_told_takes_another_way_when_the_chosen_one_is_gone(
    client: Client, database: Database, mailbox: Mailbox, service: PushService
) -> None:
    await telling.with_address(database, mailbox, client.actor)
    await telling.with_browser(database, client.actor, service.browser())
    only = [{"kind": kind, "channels": ["EMAIL"]} for kind in ("EMERGENCY_ACCESS", "EXPORT_READY")]
    await client.do("setNotificationPreferences", kinds=only)
    await client.do("removeNotificationEmail")
    kinds = await client.kinds()
    assert kinds["EMERGENCY_ACCESS"] == (["EMAIL"], ["WEB_PUSH"])
    assert kinds["EXPORT_READY"] == (["EMAIL"], [])


async def test_without_channels_the_server_says_so(
    database: Database, blobs: BlobStore, service: PushService
) -> None:
    client = Client(database, blobs, await world.holder(database), Channels())
    found = await client.preferences()
    assert [each["isAvailable"] for each in found["channels"]] == [False, False]
    assert (found["webPushKey"], found["appUrl"]) == (None, None)
    browser = service.browser()
    for name, given in [
        ("requestNotificationEmail", {"address": "a@example.org"}),
        ("addPushDevice", {"endpoint": browser.endpoint, **browser.keys}),
    ]:
        refused = await client.do(name, **given)
        assert refused["__typename"] == "ValidationFailed"
        assert refused["message"].startswith("This server sends nothing over ")
    assert await telling.destinations(database) == []


async def test_each_sees_and_changes_their_own_only(
    database: Database, blobs: BlobStore, channels: Channels, mailbox: Mailbox
) -> None:
    child, parent = [await world.holder(database, born="2019-01-01"), await world.holder(database)]
    await telling.with_address(database, mailbox, child, "child@example.org")
    await world.parent(database, child, parent)
    doctor = await world.professional(database)
    found = await Client(database, blobs, doctor, channels).preferences()
    assert [each["kind"] for each in found["kinds"]] == [
        "EMERGENCY_ACCESS",
        "MESSAGE_AWAITS",
        "DEVICE_ADDED",
        "DEVICE_REVOKED",
        "ROOT_CHANGED",
        "ACCOUNT_REPLACED",
        "BACKUP_FETCHED",
    ]
    refused = await Client(database, blobs, doctor, channels).do(
        "setNotificationPreferences", kinds=[{"kind": "EXPORT_READY", "channels": []}]
    )
    assert refused["message"] == "EXPORT_READY is never told to you."
    child_id = write_id(Patient, child.person_id)
    node = """query($id: ID!) { node(id: $id) { ... on Patient { birthFamilyName
      notificationPreferences { email { address } } } } }"""
    for actor, shown in [(parent, None), (child, {"email": {"address": "child@example.org"}})]:
        asked = await Client(database, blobs, actor, channels).ask(node, id=child_id)
        assert asked["node"] == {"birthFamilyName": "DUPONT", "notificationPreferences": shown}
    for actor, kind in [(OPERATOR, "NotFound"), (Anonymous(), "Unauthenticated")]:
        client = Client(database, blobs, actor, channels)
        for name, given in [
            ("setNotificationPreferences", {"locale": "EN"}),
            ("requestNotificationEmail", {"address": "a@example.org"}),
            ("confirmNotificationEmail", {"code": "000000"}),
            ("removeNotificationEmail", {}),
        ]:
            assert (await client.do(name, **given))["__typename"] == kind
    publisher = Client(database, blobs, await world.publisher(database), channels)
    assert (await publisher.do("removeNotificationEmail"))["__typename"] == "NotFound"


async def test_a_kind_twice_is_refused(client: Client) -> None:
    twice = [{"kind": "EXPORT_READY", "channels": []}] * 2
    refused = await client.do("setNotificationPreferences", kinds=twice)
    assert (refused["__typename"], refused["path"]) == ("ValidationFailed", ["kinds"])


async def test_too_many_codes_say_how_long_to_wait(client: Client) -> None:
    for number in range(5):
        await client.do("requestNotificationEmail", address=f"a{number}@example.org")
    limited = await client.do("requestNotificationEmail", address="b@example.org")
    assert limited["__typename"] == "RateLimited" and 0 < limited["retryAfter"] <= 3600
