// Replays the vectors: node replay.mjs [folder]. Says what comes to something else, a line each.

import { readFileSync, readdirSync } from "node:fs";
import { join as path } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { accounts, directory, messages, recovery, threads, wire } from "./crn1.mjs";

const { Failure, Reader, fromHex, hex, join, labels, zeros } = wire;
const folder = process.argv[2] ?? fileURLToPath(new URL("../vectors", import.meta.url));
const read = (name) => JSON.parse(readFileSync(path(folder, name), "utf-8"));
const given = read("given.json");
const bytes = (text) => fromHex(text);

// --- what cases name

const kept = new Map();

function remembered(kind, name, make) {
  const key = `${kind} ${name}`;
  if (!kept.has(key)) kept.set(key, make());
  return kept.get(key);
}

function first(table, name) {
  const [key, count] = name.split(":");
  return table[key].slice(0, count === undefined ? undefined : Number(count));
}

const account = (name) => remembered("account", name, () => {
  const [genesis, ...others] = first(given.chains, name).map(bytes);
  return others.reduce(accounts.extend, accounts.begin(genesis));
});

const thread = (name) => remembered("thread", name, () => {
  const [create, ...others] = first(given.logs, name);
  const begun = threads.begin(bytes(create.entry), account(create.author), true);
  return others.reduce(
    (found, each) => threads.extend(found, bytes(each.entry), account(each.author), true), begun,
  );
});

const byId = (names) => new Map(names.map((name) => [hex(account(name).id), account(name)]));
const keysOf = (seeds) => new Map(Object.entries(seeds).map(
  ([number, seed]) => [Number(number), accounts.aekKeys(Number(number), bytes(seed))],
));
const seedsOf = (found) => ({
  seeds: Object.fromEntries([...found].map(([number, keys]) => [number, hex(keys.seed)])),
});

// --- how cases say things

function shape(value) {
  if (value instanceof Uint8Array) return hex(value);
  if (Array.isArray(value)) return value.map(shape);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shape(each)]));
}

const pick = (value, ...keys) => Object.fromEntries(keys.map((key) => [key, value[key]]));
const inOrder = (map) => [...map].sort(([one], [other]) => (one < other ? -1 : 1));

function accountState(found) {
  return shape({
    ...pick(
      found, "id", "kind", "root", "recoveryBox", "recoverySign", "number", "head", "at",
      "recovery", "pendingRoot", "roots", "needsNewAek", "isClosed",
    ),
    devices: inOrder(found.devices).map(([, device]) => pick(
      device, "id", "sign", "box", "flag", "notAfter", "addedIn", "revokedIn", "revokedAtSize",
    )),
    generations: found.generations.map(
      (each) => pick(each, "number", "aek", "commitment", "entry", "at"),
    ),
    delegations: inOrder(found.delegations).map(
      ([, each]) => pick(each, "delegate", "scope", "notBefore", "notAfter", "givenIn"),
    ),
    roster: inOrder(found.roster).map(([id, { role }]) => ({ account: id, role })),
  });
}

function threadState(found) {
  return shape({
    ...pick(found, "id", "creator", "context", "policy", "number", "head", "at", "hasLeft", "isClosed"),
    members: inOrder(found.members).map(([, member]) => member),
    epochs: found.epochs.map(({ number, entry, at, rotation }) => ({
      number, entry, at, commitment: rotation.commitment, wraps: rotation.wraps,
    })),
  });
}

// --- operations

const fields = {
  u8: (r) => r.u8(), u16: (r) => r.u16(), u32: (r) => r.u32(), u64: (r) => r.u64(),
  flag: (r) => r.oneOf(0, 1) === 1, opaque: (r) => r.opaque(16), text: (r) => r.text(16),
  list: (r) => r.list((each) => each.u8(), 4), digest: (r) => r.digest(),
};

const key32 = (text) => wire.exactly(bytes(text), 32);
const checkpoint = ({ size, root, at }) => ({ size, root: bytes(root), at });

function pairingOffer(steps) {
  return shape(steps);
}

const operations = {
  "base64url.decode": ({ text }) => ({ bytes: hex(wire.fromBase64url(text)) }),
  "base64url.encode": (i) => ({ text: wire.toBase64url(bytes(i.bytes)) }),
  "fields.read"(i) {
    const reader = new Reader(bytes(i.bytes));
    const values = i.fields.map((field) => fields[field](reader));
    reader.end();
    return shape({ values });
  },
  digest: (i) => ({ digest: hex(wire.digest(i.label, bytes(i.data))) }),
  derive: (i) => ({ key: hex(wire.derive(bytes(i.key), i.label, bytes(i.info))) }),
  sign: (i) => shape({
    public: wire.signPublic(bytes(i.seed)),
    signature: wire.sign(bytes(i.seed), i.label, bytes(i.message)),
  }),
  verify(i) {
    const signature = [key32(i.public), wire.exactly(bytes(i.signature), 64)];
    wire.verify(signature[0], i.label, bytes(i.message), signature[1]);
    return {};
  },
  "verify.login"(i) {
    const signature = wire.exactly(bytes(i.signature), 64);
    wire.verify(key32(i.public), labels.SIGN_LOGIN, bytes(i.challenge), signature);
    return {};
  },
  "padding.length": (i) => ({ padded: wire.paddedLength(i.length, i.least) }),
  "padding.pad": (i) => ({ padded: hex(wire.pad(bytes(i.content), i.least)) }),
  "padding.unpad": (i) => ({ content: hex(wire.unpad(bytes(i.padded), i.least)) }),
  "key.sign": (i) => (wire.admitSign(key32(i.public)), {}),
  "key.box": (i) => (wire.admitBox(key32(i.public)), {}),
  "box.open": (i) => ({ message: hex(wire.openSealed(bytes(i.box), bytes(i.secret))) }),
  "aead.open": (i) => ({
    message: hex(wire.decrypt(bytes(i.key), bytes(i.ciphertext), bytes(i.associated))),
  }),
  "chain.entry": (i) => shape(accounts.readEntry(bytes(i.entry))),
  "chain.begin": (i) => accountState(accounts.begin(bytes(i.entry))),
  "chain.extend": (i) => accountState(accounts.extend(account(i.chain), bytes(i.entry))),
  "chain.at": ({ chain, at }) => shape({
    isStale: accounts.isStale(account(chain), at), root: accounts.rootAt(account(chain), at),
    wrappedFor: accounts.wrappedFor(account(chain), at),
  }),
  "aek.keys": (i) => shape(pick(
    accounts.aekKeys(i.number, bytes(i.seed)), "secret", "public", "commitment", "storeKey",
  )),
  "aek.open"(i) {
    const [seed, secret] = [bytes(i.device).slice(0, 32), bytes(i.device).slice(32)];
    const id = accounts.deviceId(wire.signPublic(seed), wire.boxPublic(secret));
    return seedsOf(accounts.openGenerations(account(i.chain), id, secret));
  },
  "aek.delegated": (i) => seedsOf(
    accounts.openDelegated(account(i.chain), bytes(i.own), keysOf(i.seeds)),
  ),
  "aek.recovered": (i) => seedsOf(accounts.openRecovered(account(i.chain), bytes(i.secret))),
  "control.entry": (i) => shape(threads.readControl(bytes(i.entry))),
  "control.begin": (i) => threadState(
    threads.begin(bytes(i.entry), account(i.author), i.isHistory),
  ),
  "control.extend": (i) => threadState(
    threads.extend(thread(i.log), bytes(i.entry), account(i.author), i.isHistory),
  ),
  "control.wraps"(i) {
    const wraps = i.wraps.map((each) => ({ account: bytes(each.account), wrap: bytes(each.wrap) }));
    threads.checkWraps(thread(i.log).epochs.at(-1).rotation, wraps);
    return { digest: hex(threads.digestOfWraps(wraps)) };
  },
  "control.keys": (i) => (
    threads.checkKeys(thread(i.log).epochs.at(-1).rotation, byId(i.chains)), {}
  ),
  "control.recipient": (i) => (
    threads.checkRecipient(account(i.chain), thread(i.log).policy, i.at), {}
  ),
  "control.due": (i) => ({
    isDue: threads.rotationDue(thread(i.log), byId(i.chains), i.at, i.messages),
  }),
  "wrap.open": (i) => shape(
    threads.openWrap(bytes(i.wrap), thread(i.log), i.epoch, bytes(i.own), keysOf(i.seeds)),
  ),
  "envelope.read": (i) => shape(pick(
    messages.readEnvelope(bytes(i.envelope)),
    "thread", "epoch", "salt", "commitment", "isErased", "name", "erased",
  )),
  "message.open": (i) => shape(
    messages.openMessage(bytes(i.envelope), bytes(i.secret), byId(i.chains)),
  ),
  "header.read": (i) => shape(messages.readHeader(bytes(i.header))),
  "content.read": (i) => ({ content: shape(messages.readContent(bytes(i.body), i.kind)) }),
  "file.length": (i) => ({ sealed: messages.sealedLength(i.length) }),
  "file.open"(i) {
    const reader = new Reader(bytes(i.manifest));
    const manifest = messages.readManifest(reader);
    reader.end();
    const { plain, fileKey } = messages.openFile(bytes(i.blob), manifest);
    return shape({ digest: wire.blake2b(plain), length: plain.length, fileKey, manifest });
  },
  "file.assembled": (i) => assembled(i),
  "code.read": (i) => shape(recovery.readCode(i.text)),
  "recovery.stretch": (i) => shape(
    recovery.stretch(bytes(i.code), i.passphrase, { ...i, salt: bytes(i.salt) }),
  ),
  "backup.open": (i) => shape({
    root: recovery.openBackup(bytes(i.backup), account(i.chain), bytes(i.code), i.passphrase),
    digest: recovery.backupDigest(bytes(i.backup)),
  }),
  "pairing.camera"(i) {
    const [fresh, old] = devices(i);
    const shown = i.shown ? bytes(i.shown) : fresh.show();
    const answer = old.scan(shown);
    const heard = fresh.scan(i.answer ? bytes(i.answer) : answer);
    const proof = fresh.prove(heard);
    const offer = old.accept(i.proof ? bytes(i.proof) : proof);
    return pairingOffer({ shown, answer, proof, offer });
  },
  "pairing.digits"(i) {
    const [fresh, old] = devices(i);
    const commitment = fresh.commit();
    const reply = old.reply(i.commitment ? bytes(i.commitment) : commitment);
    const told = fresh.reveal(i.reply ? bytes(i.reply) : reply);
    const oldDigits = old.compare(i.revealed ? bytes(i.revealed) : told.revealed);
    const proof = fresh.prove(told.heard);
    const offer = old.accept(i.proof ? bytes(i.proof) : proof);
    return pairingOffer({
      commitment, reply, revealed: told.revealed, newDigits: told.digits, oldDigits, proof, offer,
    });
  },
  safety({ pair }) {
    const numbers = pair.map((each) => recovery.accountNumber(bytes(each.account), bytes(each.root)));
    return { numbers, both: recovery.safetyNumber(...numbers) };
  },
  "checkpoint.key": (i) => shape(directory.readKey(i.text)),
  "checkpoint.verify": (i) => shape(directory.verifyCheckpoint(
    i.text, directory.readKey(i.log), i.witnesses.map(directory.readKey), i.quorum,
  )),
  "checkpoint.advance"(i) {
    directory.advance(checkpoint(i.known), checkpoint(i.found), i.proof.map(bytes));
    return { size: i.found.size };
  },
  "checkpoint.fresh": (i) => (directory.checkFresh(i.checkpointAt, i.at), {}),
  "binding.verify": (i) => shape(directory.verifyBinding(bytes(i.binding), {
    ...i, label: bytes(i.label), issuerKey: bytes(i.issuerKey),
  })),
  "binding.professional": (i) => ({ label: hex(directory.professionalLabel(i.registerId)) }),
  "leaf.chain": (i) => leaf(
    directory.chainLeaf(bytes(i.account), i.number, bytes(i.entry), bytes(i.blind)),
  ),
  "leaf.binding": (i) => leaf(
    directory.bindingLeaf(bytes(i.label), i.version, bytes(i.binding), bytes(i.blind)),
  ),
  "merkle.inclusion": (i) => (directory.verifyInclusion(
    bytes(i.leafHash), i.index, i.size, i.proof.map(bytes), bytes(i.root),
  ), {}),
  "merkle.consistency": (i) => (directory.verifyConsistency(
    i.old, bytes(i.oldRoot), i.new, bytes(i.newRoot), i.proof.map(bytes),
  ), {}),
  sweep: (i) => sweep(i),
};

const leaf = (found) => shape({ leaf: found, hash: directory.leafHash(found) });

const devices = (i) => [
  new recovery.NewDevice(bytes(i.device), i.flag, bytes(i.newNonce)),
  new recovery.OldDevice(account(i.chain), bytes(i.oldNonce), i.failures),
];

/** Opens a blob whose chunks are sealed here, as nobody would, and put in any order. */
function assembled(i) {
  const [key, file, streamHeader] = [bytes(i.key), bytes(i.file), bytes(i.streamHeader)];
  const padded = zeros(wire.paddedLength(i.plainBytes));
  padded.fill(bytes(i.fill)[0], 0, i.plainBytes);
  padded.set(bytes(i.tail), i.plainBytes);
  const fileKey = wire.derive(key, labels.FILE, file);
  // init_push would draw a header of its own, and then do just what init_pull does with ours.
  const state = wire.sodium.crypto_secretstream_xchacha20poly1305_init_pull(streamHeader, fileKey);
  const chunks = i.finals.map((isFinal, index) =>
    wire.sodium.crypto_secretstream_xchacha20poly1305_push(
      state,
      padded.slice(index * messages.CHUNK, (index + 1) * messages.CHUNK),
      messages.chunkPlace(file, index),
      isFinal ? 3 : 0,
    ));
  const start = messages.fileStart({ key, file, streamHeader });
  const blob = join(start, ...i.order.map((index) => chunks[index]));
  const sealedDigest = wire.blake2b(blob);
  const { plain } = messages.openFile(blob, {
    key, file, streamHeader, sealedDigest, plainBytes: i.plainBytes,
    sealedBytes: messages.sealedLength(i.plainBytes),
  });
  return shape({ length: plain.length, sealedDigest });
}

/** Changes every byte, cuts at every place, adds one: and says what each becomes. */
function sweep({ do: operation, in: input, field }) {
  const changes = field === "text" ? changedText(input[field]) : changedBytes(input[field]);
  const verdicts = changes.map((changed) => run(operation, { ...input, [field]: changed })[0]);
  const counts = {};
  for (const verdict of verdicts.toSorted()) counts[verdict] = (counts[verdict] ?? 0) + 1;
  return { counts, digest: hex(wire.sha256(wire.utf8(verdicts.join(",")))) };
}

function changedBytes(text) {
  const data = bytes(text);
  const flipped = Array.from(data, (byte, at) => data.with(at, byte ^ (1 << (at % 8))));
  const cut = Array.from(data, (_, length) => data.slice(0, length));
  return [...flipped, ...cut, join(data, wire.u8(0)), join(data, wire.u8(0x80))].map(hex);
}

function changedText(text) {
  const places = Array.from(text, (_, at) => at);
  const flipped = places.map((at) =>
    text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1));
  return [...flipped, ...places.map((at) => text.slice(0, at)), `${text}\n`, `${text}x`];
}

function run(operation, input) {
  try {
    return ["ok", operations[operation](input)];
  } catch (error) {
    if (error instanceof Failure) return [error.verdict, undefined];
    throw error;
  }
}

// --- all files

let count = 0;
const wrong = [];
for (const name of readdirSync(folder).filter((each) => each.endsWith(".json")).sort()) {
  for (const { name: what, do: operation, in: input, expect, out } of read(name).cases ?? []) {
    const [verdict, found] = run(operation, input);
    count++;
    if (verdict !== expect) wrong.push(`${name}: ${what}: ${verdict}, not ${expect}`);
    else if (!isDeepStrictEqual(found, out)) {
      wrong.push(`${name}: ${what}: ${JSON.stringify(found)} and not ${JSON.stringify(out)}`);
    }
  }
}
for (const line of wrong) console.log(line);
console.log(JSON.stringify({ cases: count, wrong: wrong.length }));
process.exitCode = wrong.length ? 1 : 0;
