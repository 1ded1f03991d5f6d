"""Which broker the settings name, and that its URL stays a secret."""

import pytest

from carnet.errors import UserMistake
from carnet.settings import Settings
from carnet.store.brokers import broker_url
from carnet.store.wakeups import Wakeups

DATABASE = "postgresql+asyncpg://server:secret@db/carnet"


@pytest.mark.parametrize(
    ("database", "dsn"),
    [
        (
            DATABASE,
            "postgresql://server:secret@db/carnet"
            "?application_name=carnet-wakeups&role=carnet_app&synchronous_commit=off",
        ),
        (
            "postgresql://postgres@/carnet?host=%2Ftmp%2Fa b",
            "postgresql://postgres@/carnet?application_name=carnet-wakeups&host=%2Ftmp%2Fa+b"
            "&role=carnet_app&synchronous_commit=off",
        ),
        (
            "postgresql://db/carnet?ssl=require&prepared_statement_cache_size=0",
            "postgresql://db/carnet"
            "?application_name=carnet-wakeups&role=carnet_app&sslmode=require&synchronous_commit=off",
        ),
    ],
)
def test_without_a_broker_of_its_own_the_database_is_it(database: str, dsn: str) -> None:
    assert sorted(broker_url(Settings(), database).partition("?")[2].split("&")) == sorted(
        dsn.partition("?")[2].split("&")
    )
    assert broker_url(Settings(), database).partition("?")[0] == dsn.partition("?")[0]


@pytest.mark.parametrize(
    "url",
    ["redis://broker:6379/1", "rediss://:secret@broker", "redis://u:p@broker?socket_timeout=5"],
)
def test_a_redis_is_taken_as_it_is(url: str) -> None:
    assert broker_url(Settings(broadcast_url=url), DATABASE) == url


def test_another_postgresql_gets_no_role_of_this_one() -> None:
    settings = Settings(broadcast_url="postgres+asyncpg://u:secret@other/broker")
    assert broker_url(settings, DATABASE) == (
        "postgresql://u:secret@other/broker?application_name=carnet-wakeups&synchronous_commit=off"
    )
    assert broker_url(Settings(broadcast_url="memory://"), DATABASE) == "memory://"
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "kafka://secret@broker",
        "secret",
        "redis-stream://secret",
        "redis://secret:port",
        "postgresql://secret:port/x",
    ],
)
def test_what_is_no_broker_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UserMistake, match="CARNET_BROADCAST_URL") as mistake:
        broker_url(Settings(broadcast_url=url), DATABASE)
    assert "secret" not in mistake.value.message
    context = mistake.value.__context__
    assert context is None or mistake.value.__suppress_context__
    with pytest.raises(UserMistake):
        Wakeups("kafka://secret", lambda _: None, lambda: None)
