"""Operations with secrets: messages, files, recovery, pairing."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

from vector_world import In, World, shape, take

from carnet_crypto import kinds, padding, sodium
from carnet_crypto.envelope import read_envelope
from carnet_crypto.hashing import derive
from carnet_crypto.labels import Label
from carnet_crypto.secret import recovery
from carnet_crypto.secret.attachments import CHUNK, MAGIC, Opener, sealed_length
from carnet_crypto.secret.content import Manifest, read_content
from carnet_crypto.secret.conversation import check_recipient, open_wrap
from carnet_crypto.secret.generations import open_delegated, open_generations, open_recovered
from carnet_crypto.secret.header import Kind, read_header
from carnet_crypto.secret.keys import (
    AekKeys,
    DeviceKeys,
    body_key,
    epoch_commitment,
    message_keys,
)
from carnet_crypto.secret.messages import open_message
from carnet_crypto.secret.pairing import NewDevice, OldDevice
from carnet_crypto.values import (
    AccountId,
    AekSeed,
    BoxSecret,
    Digest,
    EpochSecret,
    FileId,
    Key,
    Salt,
)
from carnet_crypto.wire import Reader


def _aek_keys(_: World, given: In) -> In:
    keys = AekKeys(given["number"], AekSeed(take(given, "seed")))
    return {
        "secret": derive(keys.seed, Label.AEK_BOX).hex(),
        "public": keys.public.hex(),
        "commitment": keys.commitment.hex(),
        "storeKey": keys.store_key.hex(),
    }


def _seeds(opened: dict[int, AekKeys]) -> In:
    return {"seeds": {str(number): opened[number].seed.hex() for number in sorted(opened)}}


def _keys_of(given: In) -> dict[int, AekKeys]:
    seeds = given["seeds"].items()
    return {int(n): AekKeys(int(n), AekSeed(bytes.fromhex(seed))) for n, seed in seeds}


def _aek_open(world: World, given: In) -> In:
    keys = DeviceKeys.load(take(given, "device"))
    return _seeds(open_generations(world.account(given["chain"]), keys))


def _aek_delegated(world: World, given: In) -> In:
    own = AccountId(take(given, "own"))
    return _seeds(open_delegated(world.account(given["chain"]), own, _keys_of(given)))


def _aek_recovered(world: World, given: In) -> In:
    secret = BoxSecret(take(given, "secret"))
    account = world.account(given["chain"])
    return _seeds(open_recovered(account, sodium.box_public(secret), secret))


def _check_recipient(world: World, given: In) -> In:
    thread = world.thread(given["log"])
    check_recipient(world.account(given["chain"]), thread.policy, given["at"])
    return {}


def _open_wrap(world: World, given: In) -> In:
    thread, keys = world.thread(given["log"]), _keys_of(given)
    own, epoch = AccountId(take(given, "own")), given["epoch"]
    wrap = take(given, "wrap")
    secret = open_wrap(wrap, thread, epoch, own, keys)
    commitment = epoch_commitment(secret, thread.context, epoch)
    return {"secret": secret.hex(), "commitment": commitment.hex()}


def _open_sealed(_: World, given: In) -> In:
    secret = BoxSecret(take(given, "secret"))
    return {
        "message": sodium.open_sealed(take(given, "box"), sodium.box_public(secret), secret).hex()
    }


def _decrypt(_: World, given: In) -> In:
    key, associated = Key(take(given, "key")), take(given, "associated")
    return {"message": sodium.decrypt(key, take(given, "ciphertext"), associated).hex()}


def _derive(_: World, given: In) -> In:
    key = derive(take(given, "key"), Label(given["label"]), take(given, "info"))
    return {"key": key.hex()}


def _read_envelope(_: World, given: In) -> In:
    envelope = read_envelope(take(given, "envelope"))
    return {
        "thread": envelope.thread.hex(),
        "epoch": envelope.epoch,
        "salt": envelope.salt.hex(),
        "commitment": envelope.commitment.hex(),
        "isErased": envelope.is_erased,
        "name": envelope.name.hex(),
        "erased": envelope.erased().hex(),
    }


def _open_message(world: World, given: In) -> In:
    data, secret = take(given, "envelope"), EpochSecret(take(given, "secret"))
    accounts = [world.account(name) for name in given["chains"]]
    opened = open_message(data, secret, {each.id: each for each in accounts})
    envelope = read_envelope(data)
    committing, header_key, key = message_keys(secret, envelope.keyed)
    told = {
        "messageKey": derive(secret, Label.MESSAGE, envelope.keyed).hex(),
        "commitmentKey": committing.hex(),
        "headerKey": header_key.hex(),
        "bodyKey": key.hex(),
        "id": opened.id.hex(),
        "header": shape(opened.header),
        "signed": (envelope.prefix + opened.header.unsigned).hex(),
        "content": None,
    }
    if opened.content is not None:
        told["saltedBodyKey"] = body_key(key, Salt(envelope.body[:32])).hex()
        told["content"] = shape(opened.content)
    return told


def _read_header(_: World, given: In) -> In:
    header, unsigned = read_header(take(given, "header"))
    return {"header": shape(header), "unsigned": unsigned.hex()}


def _read_content(_: World, given: In) -> In:
    content = read_content(take(given, "body"), Kind(given["kind"]))
    return {"content": shape(content)}


def _file_length(_: World, given: In) -> In:
    return {"sealed": sealed_length(given["length"])}


def _open_file(_: World, given: In) -> In:
    reader = Reader(take(given, "manifest"))
    manifest = Manifest.read(reader)
    reader.end()
    opener = Opener(manifest)
    opened = opener.push(take(given, "blob"))
    opener.finish()
    return {
        "digest": blake2b(opened, digest_size=32).hexdigest(),
        "length": len(opened),
        "fileKey": derive(manifest.key, Label.FILE, manifest.file).hex(),
        "manifest": shape(manifest),
    }


def _open_assembled(_: World, given: In) -> In:
    """Open a blob whose chunks are sealed here, as nobody would, and put in any order."""
    file, key = FileId(take(given, "file")), Key(take(given, "key"))
    header, length = take(given, "streamHeader"), given["plainBytes"]
    padded = take(given, "fill") * length + take(given, "tail")
    padded += bytes(padding.padded_length(length) - len(padded))
    stream = sodium.PushStream(header, derive(key, Label.FILE, file))
    chunks = [
        stream.push(
            padded[index * CHUNK : (index + 1) * CHUNK],
            Label.CHUNK.prefix + file + index.to_bytes(8, "big"),
            is_final=is_final,
        )
        for index, is_final in enumerate(given["finals"])
    ]
    blob = MAGIC + file + derive(key, Label.FILE_COMMITMENT, file + header) + header
    blob += b"".join(chunks[index] for index in given["order"])
    found = Digest(blake2b(blob, digest_size=32).digest())
    opener = Opener(Manifest(file, key, header, sealed_length(length), found, length, "", "", 0))
    opened = opener.push(blob)
    opener.finish()
    return {"length": len(opened), "sealedDigest": found.hex()}


def _read_code(_: World, given: In) -> In:
    code = recovery.RecoveryCode.read(given["text"])
    return {"bits": code.bits.hex(), "text": code.text}


def _stretching(given: In) -> recovery.Stretching:
    return recovery.Stretching(given["passes"], given["memoryKib"], take(given, "salt"))


def _stretch(_: World, given: In) -> In:
    code = recovery.RecoveryCode(take(given, "code"))
    keys = recovery.stretch(code, given["passphrase"], _stretching(given))
    return {
        "boxSecret": keys.box_secret.hex(),
        "box": keys.box.hex(),
        "sign": keys.signing.public.hex(),
        "backupKey": keys.backup_key.hex(),
    }


def _open_backup(world: World, given: In) -> In:
    code = recovery.RecoveryCode(take(given, "code"))
    backup = take(given, "backup")
    root, _ = recovery.open_backup(backup, world.account(given["chain"]), code, given["passphrase"])
    return {"root": root.secret_bytes().hex(), "digest": recovery.backup_digest(backup).hex()}


def _pair_by_camera(world: World, given: In) -> In:
    account = world.account(given["chain"])
    new = _new_device(given)
    old = OldDevice(account, _only(given, "oldNonce"))
    shown = bytes.fromhex(given.get("shown", new.show().hex()))
    answer = old.scan(shown)
    heard = new.scan(bytes.fromhex(given.get("answer", answer.hex())))
    offered = old.accept(bytes.fromhex(given.get("proof", new.prove(heard).hex())))
    return {
        "shown": shown.hex(),
        "answer": answer.hex(),
        "proof": new.prove(heard).hex(),
        "offer": shape(offered),
    }


def _pair_by_digits(world: World, given: In) -> In:
    account = world.account(given["chain"])
    new = _new_device(given)
    old = OldDevice(account, _only(given, "oldNonce"))
    for _ in range(given.get("failures", 0)):
        old.refuse()
    commitment = new.commit()
    reply = old.reply(bytes.fromhex(given.get("commitment", commitment.hex())))
    revealed, heard, digits = new.reveal(bytes.fromhex(given.get("reply", reply.hex())))
    compared = old.compare(bytes.fromhex(given.get("revealed", revealed.hex())))
    offered = old.accept(bytes.fromhex(given.get("proof", new.prove(heard).hex())))
    return {
        "commitment": commitment.hex(),
        "reply": reply.hex(),
        "revealed": revealed.hex(),
        "newDigits": digits,
        "oldDigits": compared,
        "proof": new.prove(heard).hex(),
        "offer": shape(offered),
    }


def _new_device(given: In) -> NewDevice:
    keys = DeviceKeys.load(take(given, "device"))
    return NewDevice(keys, kinds.DeviceFlag(given["flag"]), _only(given, "newNonce"))


def _only(given: In, name: str) -> Callable[[int], bytes]:
    return lambda length: take(given, name)[:length]


OPENING: dict[str, Callable[[World, In], In]] = {
    "envelope.read": _read_envelope,
    "message.open": _open_message,
    "header.read": _read_header,
    "content.read": _read_content,
    "file.length": _file_length,
    "file.open": _open_file,
    "file.assembled": _open_assembled,
    "code.read": _read_code,
    "recovery.stretch": _stretch,
    "backup.open": _open_backup,
    "pairing.camera": _pair_by_camera,
    "pairing.digits": _pair_by_digits,
    "aek.keys": _aek_keys,
    "aek.open": _aek_open,
    "aek.delegated": _aek_delegated,
    "aek.recovered": _aek_recovered,
    "control.recipient": _check_recipient,
    "wrap.open": _open_wrap,
    "box.open": _open_sealed,
    "aead.open": _decrypt,
    "derive": _derive,
}
