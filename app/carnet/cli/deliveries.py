"""A delivery: the files that ``carnet intake`` found, sent one by one, and what became of each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from carnet.cli.progress import progress
from carnet.errors import UserMistake
from carnet_client.formats import guessed_media_type, media_type_of
from carnet_client.publisher import PublisherClient, Receipt, Refused

NOT_A_RECORD = "not a health record file"
CREDENTIAL_CODES = frozenset({"UNAUTHENTICATED", "ACCESS_DENIED"})  # every file would meet them


@dataclass(slots=True)
class Parcel:
    """One file on its way. ``failure`` says why none of it was taken in."""

    path: Path
    media_type: str | None  # None: skipped, for it is no health record file
    receipt: Receipt | None = None
    failure: tuple[str, str] | None = None  # code, message

    @property
    def waits(self) -> int:
        """How many items wait for another file to come first."""
        return self.receipt.passing if self.receipt else 0


@dataclass(slots=True)
class Delivery:
    """All files of one command, in the order of their names."""

    parcels: list[Parcel]
    tell: Callable[[Parcel], None] = field(repr=False)  # called once for each finished file

    @classmethod
    def of(cls, paths: Sequence[Path], tell: Callable[[Parcel], None]) -> Delivery:
        """Find the files under the paths; folders are searched, files are taken at their word.

        Raises:
            UserMistake: there is no health record file.
            OSError: a folder or file cannot be read.
        """
        parcels: dict[Path, Parcel] = {}
        for path in paths:
            is_folder = path.is_dir()
            for file in _files(path) if is_folder else [path]:
                media_type = media_type_of(file) if is_folder else guessed_media_type(file)
                parcels.setdefault(file.resolve(), Parcel(file, media_type))
        delivery = cls(list(parcels.values()), tell)
        if not delivery.to_send:
            names = ", ".join(str(path) for path in paths)
            raise UserMistake(f"There is no health record file in {names}.")
        return delivery

    @property
    def to_send(self) -> list[Parcel]:
        """The files that are health records."""
        return [parcel for parcel in self.parcels if parcel.media_type is not None]

    @property
    def has_failures(self) -> bool:
        """Whether a file was refused as a whole."""
        return any(parcel.failure for parcel in self.parcels)

    @property
    def counts(self) -> Counter[str]:
        """How many items had each outcome, over all files."""
        total: Counter[str] = Counter()
        for parcel in self.parcels:
            if parcel.receipt:
                total += parcel.receipt.counts
        return total

    async def send(self, client: PublisherClient) -> None:
        """Send every file; those that name a patient or document still to come, again at the end.

        Raises:
            UserMistake: the server does not know the credential.
            Unreachable: the server does not answer.
            OSError: a file cannot be read.
        """
        with progress("Taking in", len(self.to_send)) as bar:
            for parcel in self.parcels:
                if parcel.media_type is not None:
                    bar.show(parcel.path.name)
                    await _send(client, parcel)
                    bar.step()
                if not parcel.waits:
                    self.tell(parcel)
        waiting = [parcel for parcel in self.parcels if parcel.waits]
        await self._send_again(client, waiting)
        for parcel in waiting:
            self.tell(parcel)

    async def _send_again(self, client: PublisherClient, waiting: Sequence[Parcel]) -> None:
        """Go round while at least one more item lands each time."""
        while waiting:
            before = sum(parcel.waits for parcel in waiting)
            with progress("Once more", len(waiting)) as bar:
                for parcel in waiting:
                    bar.show(parcel.path.name)
                    await _send(client, parcel)
                    bar.step()
            waiting = [parcel for parcel in waiting if parcel.waits]
            if sum(parcel.waits for parcel in waiting) >= before:
                return


async def _send(client: PublisherClient, parcel: Parcel) -> None:
    try:
        receipt = await client.submit(parcel.path, parcel.media_type)
    except Refused as refused:
        if refused.code in CREDENTIAL_CODES:
            raise UserMistake(
                "The server does not take this credential; see `carnet publisher --help`."
            ) from refused
        parcel.failure = (refused.code, str(refused))
    else:
        parcel.failure = None
        parcel.receipt = receipt.after(parcel.receipt) if parcel.receipt else receipt


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files under a folder by name; hidden ones are left out, links not followed."""

    def fail(error: OSError) -> None:
        raise error

    for where, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(where, name)
            if not name.startswith(".") and path.is_file():
                yield path
