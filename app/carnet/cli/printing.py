"""How a delivery is shown: a line for each file, its items when asked for, and the totals."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict

import click

from carnet.cli.deliveries import NOT_A_RECORD, Delivery, Parcel
from carnet_client.publisher import Item, Receipt

WORDS = {
    "CREATED": ("created", "created"),
    "UPDATED": ("updated", "updated"),
    "DUPLICATE": ("duplicate", "duplicates"),
    "NOT_INTERPRETED": ("not interpreted", "not interpreted"),
    "REFUSED": ("refused", "refused"),
}


class Printer:
    """Writes to stdout, for people or, with ``is_json``, a JSON object a line for programs."""

    def __init__(self, *, is_verbose: bool, is_json: bool) -> None:
        self.is_verbose = is_verbose
        self.is_json = is_json

    def tell(self, parcel: Parcel) -> None:
        """Write what became of one file."""
        if self.is_json:
            click.echo(json.dumps(_shape(parcel), ensure_ascii=False))
            return
        click.echo(f"{printable(str(parcel.path))}: {_verdict(parcel)}")
        if self.is_verbose and parcel.receipt:
            for item in parcel.receipt.items:
                click.echo(f"  {_item(item)}")

    def total(self, delivery: Delivery) -> None:
        """Write the totals."""
        sent = delivery.to_send
        failed = sum(parcel.failure is not None for parcel in sent)
        skipped = len(delivery.parcels) - len(sent)
        if self.is_json:
            shape = {"files": len(sent), "failed": failed, "skipped": skipped}
            click.echo(json.dumps({"total": {**shape, "counts": _counts(delivery.counts)}}))
            return
        parts = []
        if failed < len(sent):  # of a file that was not taken nobody knows what is in it
            parts.append(_numbers(delivery.counts))
        if failed:
            parts.append(f"{_plural(failed, 'file')} failed")
        if skipped:
            parts.append(f"{_plural(skipped, 'other file')} skipped")
        click.echo(f"{_plural(len(sent), 'file')}: {'; '.join(parts) or 'nothing in it'}")


def printable(text: str) -> str:
    """Return the text with what could steer a terminal, or cannot be written, replaced."""
    text = text.encode("utf-8", "replace").decode()
    return "".join(char if char.isprintable() else "�" for char in text)


def _verdict(parcel: Parcel) -> str:
    if parcel.media_type is None:
        return f"skipped: {NOT_A_RECORD}"
    if parcel.failure:
        code, message = parcel.failure
        return f"failed: {printable(message)} ({printable(code)})"
    if parcel.receipt is None:
        return "not sent"
    return _numbers(parcel.receipt.counts) + _reasons(parcel.receipt)


def _numbers(counts: Counter[str]) -> str:
    parts = [
        f"{counts[outcome]} {one if counts[outcome] == 1 else many}"
        for outcome, (one, many) in WORDS.items()
        if counts[outcome]
    ]
    return ", ".join(parts) or "nothing in it"


def _reasons(receipt: Receipt) -> str:
    """Return why items were refused, most frequent first."""
    reasons = Counter(item.reason or "?" for item in receipt.items if item.outcome == "REFUSED")
    if not reasons:
        return ""
    parts = [f"{reason} {count}" for reason, count in reasons.most_common()]
    return f" ({printable(', '.join(parts))})"


def _item(item: Item) -> str:
    because = " — ".join(part for part in (item.reason, item.message) if part)
    line = f"{item.outcome.lower().replace('_', ' ')}: {item.kind} {item.key}"
    return printable(f"{line} — {because}" if because else line)


def _shape(parcel: Parcel) -> dict[str, object]:
    shape: dict[str, object] = {"file": printable(str(parcel.path))}
    if parcel.media_type is None:
        shape["skipped"] = NOT_A_RECORD
    elif parcel.failure:
        shape["error"] = {"code": parcel.failure[0], "message": parcel.failure[1]}
    elif parcel.receipt:
        receipt = parcel.receipt
        shape |= {
            "submission": receipt.submission,
            "format": receipt.format,
            "counts": _counts(receipt.counts),
            "items": [asdict(item) for item in receipt.items],
        }
    return shape


def _counts(counts: Counter[str]) -> dict[str, int]:
    return {outcome: counts[outcome] for outcome in WORDS}


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
