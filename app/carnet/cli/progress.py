"""Progress of long work: a bar where a person looks on, a line now and then where none does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import click

QUIET = 3.0  # seconds between two lines where stderr is no terminal


class Progress:
    """Counts steps of a piece of work, on stderr."""

    def __init__(self, label: str, total: int) -> None:
        self.label = label
        self.total = total
        self.done = 0
        self._told_at = monotonic()

    def show(self, doing: str) -> None:
        """Tell what is being done now, where there is room for it."""

    def step(self, count: int = 1) -> None:
        """Count steps as done."""
        self.done += count
        if monotonic() - self._told_at >= QUIET and self.done < self.total:
            self._told_at = monotonic()
            click.echo(f"{self.label}: {self.done} of {self.total}", err=True)


class _Bar(Progress):
    def __init__(self, label: str, total: int) -> None:
        super().__init__(label, total)
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self.console = Console(stderr=True)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[doing]}", markup=False),
            console=self.console,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        self.task = self.bar.add_task(label, total=total, doing="")

    def show(self, doing: str) -> None:
        self.bar.update(self.task, doing=doing)

    def step(self, count: int = 1) -> None:
        self.done += count
        self.bar.update(self.task, advance=count)


@contextmanager
def progress(label: str, total: int) -> Iterator[Progress]:
    """Show progress while the block runs.

    Args:
        label: what is being done, such as ``Taking in``.
        total: how many steps there are.
    """
    if not sys.stderr.isatty() or total < 2:
        yield Progress(label, total)
        return
    bar = _Bar(label, total)
    with bar.bar:
        yield bar


@contextmanager
def telling(label: str) -> Iterator[Callable[[str], None]]:
    """Yield what tells the step of a piece of work whose length is not known, on stderr."""
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(f"{label}…") as status:
            yield lambda doing: status.update(f"{label}: {doing}…")
        return
    told_at = monotonic()
    click.echo(f"{label}…", err=True)

    def tell(doing: str) -> None:
        nonlocal told_at
        if monotonic() - told_at >= QUIET:
            told_at = monotonic()
            click.echo(f"{label}: {doing}", err=True)

    yield tell
