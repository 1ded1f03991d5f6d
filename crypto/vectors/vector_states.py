"""Accounts and threads as cases state them."""

from __future__ import annotations

from typing import Any

from vector_world import shape

from carnet_crypto.account import Account
from carnet_crypto.thread import Thread


def account_state(account: Account) -> dict[str, Any]:
    """Return what a chain says, for comparing."""
    recovery_set, pending = account.recovery, account.pending_root
    return {
        "id": account.id.hex(),
        "kind": account.kind.value,
        "root": account.root.hex(),
        "recoveryBox": account.recovery_box.hex(),
        "recoverySign": account.recovery_sign.hex(),
        "number": account.number,
        "head": account.head.hex(),
        "at": account.at,
        "devices": [
            {
                "id": d.id.hex(),
                "sign": d.sign.hex(),
                "box": d.box.hex(),
                "flag": d.flag.value,
                "notAfter": d.not_after,
                "addedIn": d.added_in,
                "revokedIn": d.revoked_in,
                "revokedAtSize": d.revoked_at_size,
            }
            for d in sorted(account.devices.values(), key=lambda d: d.id)
        ],
        "generations": [
            {
                "number": g.number,
                "aek": g.aek.hex(),
                "commitment": g.commitment.hex(),
                "entry": g.entry,
                "at": g.at,
            }
            for g in account.generations
        ],
        "recovery": None if recovery_set is None else shape(recovery_set),
        "pendingRoot": None if pending is None else {"root": pending[0].hex(), "from": pending[1]},
        "delegations": [
            {
                "delegate": d.delegate.hex(),
                "scope": d.scope.value,
                "notBefore": d.not_before,
                "notAfter": d.not_after,
                "givenIn": d.given_in,
            }
            for d in sorted(account.delegations.values(), key=lambda d: d.delegate)
        ],
        "roster": [
            {"account": id_.hex(), "role": role.value}
            for id_, (role, _) in sorted(account.roster.items())
        ],
        "roots": [{"from": number, "root": root.hex()} for number, root in account.roots],
        "needsNewAek": account.needs_new_aek,
        "isClosed": account.is_closed,
    }


def thread_state(thread: Thread) -> dict[str, Any]:
    """Return what a log says, for comparing."""
    return {
        "id": thread.id.hex(),
        "creator": thread.creator.hex(),
        "context": thread.context.hex(),
        "policy": shape(thread.policy),
        "members": [shape(member) for _, member in sorted(thread.members.items())],
        "epochs": [
            {
                "number": epoch.number,
                "entry": epoch.entry,
                "at": epoch.at,
                "commitment": epoch.rotation.commitment.hex(),
                "wraps": epoch.rotation.wraps.hex(),
            }
            for epoch in thread.epochs
        ],
        "number": thread.number,
        "head": thread.head.hex(),
        "at": thread.at,
        "hasLeft": thread.has_left,
        "isClosed": thread.is_closed,
    }
