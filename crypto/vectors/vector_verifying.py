"""Operations that need no secret: what a relay can do too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vector_states import account_state, thread_state
from vector_world import In, World, shape, take

from carnet_crypto import admission, chain, control, directory, encoding, merkle, padding, sodium
from carnet_crypto.account import Account
from carnet_crypto.checkpoint import Checkpoint, NoteKey, advance, verify_checkpoint
from carnet_crypto.contacts import Contacts, Trust
from carnet_crypto.device import verify_login
from carnet_crypto.hashing import digest
from carnet_crypto.labels import Label
from carnet_crypto.rotation import Wrap, WrapFor, digest_of_wraps
from carnet_crypto.safety import account_number, safety_number
from carnet_crypto.thread import Thread, check_keys, check_wraps
from carnet_crypto.values import (
    AccountId,
    Blind,
    BoxPublic,
    Digest,
    Label32,
    Signature,
    SignPublic,
    SignSeed,
)
from carnet_crypto.wire import Reader


def _base64url_decode(_: World, given: In) -> In:
    return {"bytes": encoding.from_base64url(given["text"]).hex()}


def _base64url_encode(_: World, given: In) -> In:
    return {"text": encoding.to_base64url(take(given, "bytes"))}


def _read_fields(_: World, given: In) -> In:
    reader = Reader(take(given, "bytes"))
    readers: dict[str, Callable[[], Any]] = {
        "u8": reader.u8,
        "u16": reader.u16,
        "u32": reader.u32,
        "u64": reader.u64,
        "flag": reader.flag,
        "opaque": lambda: reader.opaque(16),
        "text": lambda: reader.text(16),
        "list": lambda: reader.vector(Reader.u8, 4),
        "digest": lambda: reader.fixed(Digest),
    }
    values = [shape(readers[field]()) for field in given["fields"]]
    reader.end()
    return {"values": values}


def _digest(_: World, given: In) -> In:
    return {"digest": digest(Label(given["label"]), take(given, "data")).hex()}


def _sign(_: World, given: In) -> In:
    key = sodium.SigningKey(SignSeed(take(given, "seed")))
    signature = key.sign(Label(given["label"]), take(given, "message"))
    return {"public": key.public.hex(), "signature": signature.hex()}


def _verify(_: World, given: In) -> In:
    public, signature = SignPublic(take(given, "public")), Signature(take(given, "signature"))
    sodium.verify(public, Label(given["label"]), take(given, "message"), signature)
    return {}


def _verify_login(_: World, given: In) -> In:
    public, signature = SignPublic(take(given, "public")), Signature(take(given, "signature"))
    verify_login(public, take(given, "challenge"), signature)
    return {}


def _padded_length(_: World, given: In) -> In:
    return {"padded": padding.padded_length(given["length"], given["least"])}


def _pad(_: World, given: In) -> In:
    return {"padded": padding.pad(take(given, "content"), given["least"]).hex()}


def _unpad(_: World, given: In) -> In:
    return {"content": padding.unpad(take(given, "padded"), given["least"]).hex()}


def _admit_sign(_: World, given: In) -> In:
    admission.admit_sign_key(SignPublic(take(given, "public")))
    return {}


def _admit_box(_: World, given: In) -> In:
    admission.admit_box_key(BoxPublic(take(given, "public")))
    return {}


def _chain_entry(_: World, given: In) -> In:
    entry = chain.read_entry(take(given, "entry"))
    return _entry(entry)


def _entry(entry: Any) -> In:
    told = shape(entry)
    del told["data"]
    return {
        **told,
        "type": entry.body.TYPE.value,
        "signed": entry.signed.hex(),
        "digest": entry.digest.hex(),
    }


def _chain_begin(_: World, given: In) -> In:
    return account_state(Account.begin(take(given, "entry")))


def _chain_extend(world: World, given: In) -> In:
    account = world.account(given["chain"]).extend(take(given, "entry"))
    return account_state(account)


def _chain_stale(world: World, given: In) -> In:
    account = world.account(given["chain"])
    devices, accounts = account.wrapped_for(given["at"])
    return {
        "isStale": account.is_stale(given["at"]),
        "root": account.root_at(given["at"]).hex(),
        "wrappedFor": {"devices": shape(devices), "accounts": shape(accounts)},
    }


def _control_entry(_: World, given: In) -> In:
    return _entry(control.read_control(take(given, "entry")))


def _control_begin(world: World, given: In) -> In:
    author = world.account(given["author"])
    return thread_state(Thread.begin(take(given, "entry"), author, is_history=given["isHistory"]))


def _control_extend(world: World, given: In) -> In:
    author, entry = world.account(given["author"]), take(given, "entry")
    thread = world.thread(given["log"]).extend(entry, author, is_history=given["isHistory"])
    return thread_state(thread)


def _check_wraps(world: World, given: In) -> In:
    wraps = [
        WrapFor(AccountId(take(each, "account")), Wrap(take(each, "wrap")))
        for each in given["wraps"]
    ]
    check_wraps(world.thread(given["log"]).epoch.rotation, wraps)
    return {"digest": digest_of_wraps(wraps).hex()}


def _check_keys(world: World, given: In) -> In:
    accounts = [world.account(name) for name in given["chains"]]
    check_keys(world.thread(given["log"]).epoch.rotation, {each.id: each for each in accounts})
    return {}


def _rotation_due(world: World, given: In) -> In:
    accounts = [world.account(name) for name in given["chains"]]
    known = {each.id: each for each in accounts}
    thread = world.thread(given["log"])
    return {"isDue": thread.rotation_due(known, given["at"], given["messages"])}


def _safety(_: World, given: In) -> In:
    numbers = [
        account_number(AccountId(take(each, "account")), SignPublic(take(each, "root")))
        for each in given["pair"]
    ]
    return {"numbers": numbers, "both": safety_number(*numbers)}


def _note_key(_: World, given: In) -> In:
    key = NoteKey.read(given["text"])
    return {"name": key.name, "public": key.public.hex(), "id": key.id().hex()}


def _verify_checkpoint(_: World, given: In) -> In:
    witnesses = [NoteKey.read(text) for text in given["witnesses"]]
    found = verify_checkpoint(
        given["text"], NoteKey.read(given["log"]), witnesses=witnesses, quorum=given["quorum"]
    )
    return {
        "origin": found.origin,
        "size": found.size,
        "root": found.root.hex(),
        "at": found.at,
        "signed": found.signed.hex(),
    }


def _checkpoint(given: In) -> Checkpoint:
    return Checkpoint("", given["size"], Digest(take(given, "root")), given["at"], "")


def _advance(_: World, given: In) -> In:
    found = advance(_checkpoint(given["known"]), _checkpoint(given["found"]), _hashes(given))
    return {"size": found.size}


def _fresh(_: World, given: In) -> In:
    key = NoteKey.read(given["log"])
    contacts = Contacts(Trust(key), Checkpoint("", 0, Digest.zero(), given["checkpointAt"], ""))
    contacts.check_fresh(given["at"])
    return {}


def _verify_binding(_: World, given: In) -> In:
    binding = directory.verify_binding(
        take(given, "binding"),
        label=Label32(take(given, "label")),
        issuer=given["issuer"],
        issuer_key=SignPublic(take(given, "issuerKey")),
        at=given["at"],
    )
    told = shape(binding)
    del told["data"]
    return told


def _professional(_: World, given: In) -> In:
    return {"label": directory.professional_label(given["registerId"]).hex()}


def _chain_leaf(_: World, given: In) -> In:
    leaf = directory.chain_leaf(
        AccountId(take(given, "account")),
        given["number"],
        take(given, "entry"),
        Blind(take(given, "blind")),
    )
    return {"leaf": leaf.hex(), "hash": merkle.leaf_hash(leaf).hex()}


def _binding_leaf(_: World, given: In) -> In:
    leaf = directory.binding_leaf(
        Label32(take(given, "label")),
        given["version"],
        take(given, "binding"),
        Blind(take(given, "blind")),
    )
    return {"leaf": leaf.hex(), "hash": merkle.leaf_hash(leaf).hex()}


def _inclusion(_: World, given: In) -> In:
    leaf, root = take(given, "leafHash"), take(given, "root")
    merkle.verify_inclusion(leaf, given["index"], given["size"], _hashes(given), root)
    return {}


def _consistency(_: World, given: In) -> In:
    roots = take(given, "oldRoot"), take(given, "newRoot")
    merkle.verify_consistency(given["old"], roots[0], given["new"], roots[1], _hashes(given))
    return {}


def _hashes(given: In) -> list[bytes]:
    return [bytes.fromhex(part) for part in given["proof"]]


VERIFYING: dict[str, Callable[[World, In], In]] = {
    "base64url.decode": _base64url_decode,
    "base64url.encode": _base64url_encode,
    "fields.read": _read_fields,
    "digest": _digest,
    "sign": _sign,
    "verify": _verify,
    "verify.login": _verify_login,
    "padding.length": _padded_length,
    "padding.pad": _pad,
    "padding.unpad": _unpad,
    "key.sign": _admit_sign,
    "key.box": _admit_box,
    "chain.entry": _chain_entry,
    "chain.begin": _chain_begin,
    "chain.extend": _chain_extend,
    "chain.at": _chain_stale,
    "control.entry": _control_entry,
    "control.begin": _control_begin,
    "control.extend": _control_extend,
    "control.wraps": _check_wraps,
    "control.keys": _check_keys,
    "control.due": _rotation_due,
    "safety": _safety,
    "checkpoint.key": _note_key,
    "checkpoint.verify": _verify_checkpoint,
    "checkpoint.advance": _advance,
    "checkpoint.fresh": _fresh,
    "binding.verify": _verify_binding,
    "binding.professional": _professional,
    "leaf.chain": _chain_leaf,
    "leaf.binding": _binding_leaf,
    "merkle.inclusion": _inclusion,
    "merkle.consistency": _consistency,
}
