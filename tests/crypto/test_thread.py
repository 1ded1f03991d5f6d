"""Threads: who may go on with a control log."""

from __future__ import annotations

import pytest
from correspondents import NOW, Person, accounts, open_thread, seeded

from carnet_crypto.errors import Reason, Refused
from carnet_crypto.secret import conversation, identity
from carnet_crypto.thread import Thread


def test_a_closed_account_writes_no_more() -> None:
    doctor, patient = Person.enrol(seeded(21)), Person.enrol(seeded(22))
    created, views = open_thread(doctor, patient)
    thread = views[doctor.id].thread
    before = conversation.rotate(doctor.writer(), thread, accounts(doctor, patient))
    doctor.extend(identity.close(doctor.account, doctor.root, NOW))
    after = conversation.leave(doctor.writer(), thread)
    for entry, is_history in ((before.entry, False), (after.entry, False), (after.entry, True)):
        with pytest.raises(Refused) as refused:
            thread.extend(entry, doctor.account, is_history=is_history)
        assert refused.value.reason is Reason.CLOSED
    assert Thread.begin(created.entry, doctor.account, is_history=True).id == thread.id
    assert thread.extend(before.entry, doctor.account, is_history=True).number == 1
