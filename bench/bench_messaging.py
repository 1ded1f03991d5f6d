"""How fast messages and files are sealed and opened, next to libsodium alone, on one core.

    .venv/bin/python bench/bench_messaging.py [--smoke]

Everything runs in this process, one thread but for the hashing of files, which has its own. The
ratios at the end compare each with the primitive that it cannot be faster than, measured in the
same run. README.md has figures.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from nacl import bindings

from carnet_client.hashing import ThreadedHasher
from carnet_crypto.secret.attachments import CHUNK, FileFacts, Opener, Sealer
from carnet_crypto.secret.content import Text
from carnet_crypto.secret.generations import open_generations
from carnet_crypto.secret.messages import open_message, seal
from carnet_crypto.values import DeviceId

WORDS = "The result came this morning, and all is as it should be. " * 5


sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
people = importlib.import_module("correspondents")
CHECKPOINT, NOW, Person = people.CHECKPOINT, people.NOW, people.Person


def rate(act: Callable[[int], object], number: int, rounds: int) -> float:
    """Return how often a second something is done: the median of several rounds."""
    rates = []
    for _ in range(rounds):
        began = perf_counter()
        for n in range(number):
            act(n)
        rates.append(number / (perf_counter() - began))
    return statistics.median(rates)


def messages(number: int, rounds: int) -> None:
    doctor, patient = Person.enrol(), Person.enrol()
    _, views = people.open_thread(doctor, patient)
    known, view, keys = people.accounts(doctor, patient), views[doctor.id], doctor.devices[0]
    secret, other = view.secrets[1], views[patient.id]

    def draft(_: int = 0) -> bytes:
        made = view.draft(DeviceId(bytes(keys.id)), Text(WORDS), CHECKPOINT, NOW)
        return seal(made, secret, keys, os.urandom)[0]

    envelopes = []
    for n in range(number):
        envelopes.append(draft())
        view.take_message(n + 1, envelopes[-1], known)
    sealed = rate(draft, number, rounds)
    opened = rate(lambda n: open_message(envelopes[n], secret, known), number, rounds)
    seconds = perf_counter()
    for n, envelope in enumerate(envelopes):
        other.take_message(n + 1, envelope, known)
    taken = number / (perf_counter() - seconds)
    message = bytes(900)
    pair = bindings.crypto_sign_seed_keypair(bytes(32))
    signed = bindings.crypto_sign(message, pair[1])
    signs = rate(lambda _: bindings.crypto_sign(message, pair[1]), number, rounds)
    verifies = rate(lambda _: bindings.crypto_sign_open(signed, pair[0]), number, rounds)
    print(f"sealed                  {sealed:10,.0f}/s   {sealed / signs:5.2f} of signing alone")
    print(
        f"opened and verified     {opened:10,.0f}/s   {opened / verifies:5.2f} of verifying alone"
    )
    print(f"read into a transcript  {taken:10,.0f}/s   {taken / verifies:5.2f} of verifying alone")


def files(mebibytes: int, rounds: int) -> None:
    data = os.urandom(1 << 20)
    size = mebibytes << 20

    def raw() -> None:
        state = bindings.crypto_secretstream_xchacha20poly1305_state()
        bindings.crypto_secretstream_xchacha20poly1305_init_push(state, bytes(32))
        for _ in range(mebibytes):
            for at in range(0, len(data), CHUNK):
                bindings.crypto_secretstream_xchacha20poly1305_push(state, data[at : at + CHUNK])

    def sealing() -> None:
        with ThreadedHasher() as hasher:
            sealer = Sealer(size, os.urandom, hasher)
            blob[:] = [sealer.begin]
            blob.extend(sealer.push(data) for _ in range(mebibytes))
            rest, kept["manifest"] = sealer.finish(FileFacts("scan", "image/png", NOW))
            blob.append(rest)

    def opening() -> None:
        with ThreadedHasher() as hasher:
            opener = Opener(kept["manifest"], hasher)
            for part in blob:
                opener.push(part)
            opener.finish()

    blob: list[bytes] = []
    kept: dict = {}
    alone = rate(lambda _: raw(), 1, rounds) * mebibytes
    for name, act in (("file sealed", sealing), ("file opened", opening)):
        found = rate(lambda _, act=act: act(), 1, rounds) * mebibytes
        print(f"{name:<22}  {found:10,.0f} MiB/s   {found / alone:5.2f} of secretstream alone")


def new_device(generations: int) -> None:
    doctor = Person.enrol()
    for _ in range(generations - 1):
        doctor.rotate()
    keys = doctor.add_device()
    seconds = perf_counter()
    found = open_generations(doctor.account, keys)
    took = perf_counter() - seconds
    print(
        f"a new device reaches all {len(found)} generations in {took * 1000:.1f} ms, "
        "whatever the number of threads"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a few, to see that it runs")
    given = parser.parse_args()
    number, rounds, size = (20, 1, 2) if given.smoke else (4000, 5, 128)
    messages(number, rounds)
    files(size, rounds)
    new_device(3 if given.smoke else 50)


if __name__ == "__main__":
    main()
