"""T68, as far as the protocol alone can be asked: a story, and what of it the relay gets to see."""

from __future__ import annotations

import logging

import pytest
from canary import Search
from honest_client import meet
from story import tell


def test_t68_canary(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    met = meet()
    needles = tell(met)
    search = Search(needles)
    for place, data in met.relay.everything():
        search.look(place, data)
    search.look("the logs", caplog.text.encode())
    assert search.found == []
    assert search.looked_at > 50_000
    # It finds what is there: the same search, with one word of the story let slip.
    search.look("a slip", b"... " + str(needles["edit"]).encode() + b" ...")
    assert search.found == ["edit in a slip"]
