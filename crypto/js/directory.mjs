// The directory: Merkle proofs, checkpoints and their witnesses, bindings and leaves.

import {
  LARGEST, Reader, admitSign, ascii, compare, exactly, fromBase64, hex, join, labels,
  malformed, prefix, refused, sha256, sodium, u32, u8, unproved, unsigned, utf8, verify, verifyPlain,
} from "./wire.mjs";

// --- Merkle trees (RFC 9162)

const EMPTY_ROOT = sha256();
const LARGEST_TREE = 2n ** 63n - 1n;
export const leafHash = (leaf) => sha256(u8(0), leaf);
const nodeHash = (left, right) => sha256(u8(1), left, right);

function checkHashes(...hashes) {
  if (hashes.some((hash) => hash.length !== 32)) throw unproved();
}

export function verifyInclusion(leaf, index, size, proof, root) {
  checkHashes(leaf, root, ...proof);
  if (index < 0 || index >= size || BigInt(size) > LARGEST_TREE) throw unproved();
  let [node, last, found] = [BigInt(index), BigInt(size) - 1n, leaf];
  for (const hash of proof) {
    if (last === 0n) throw unproved();
    if (node & 1n || node === last) {
      found = nodeHash(hash, found);
      while (!(node & 1n) && node) [node, last] = [node >> 1n, last >> 1n];
    } else found = nodeHash(found, hash);
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last || compare(found, root) !== 0) throw unproved();
}

export function verifyConsistency(old, oldRoot, size, root, proof) {
  checkHashes(oldRoot, root, ...proof);
  if (old < 0 || old > size || BigInt(size) > LARGEST_TREE) throw unproved();
  if (old === size || old === 0) {
    const isSame = old !== size || compare(oldRoot, root) === 0;
    const isEmpty = old !== 0 || compare(oldRoot, EMPTY_ROOT) === 0;
    if (proof.length || !isSame || !isEmpty) throw unproved();
    return;
  }
  const before = BigInt(old);
  const hashes = before & (before - 1n) ? [...proof] : [oldRoot, ...proof];
  if (!hashes.length) throw unproved();
  let [node, last] = [before - 1n, BigInt(size) - 1n];
  while (node & 1n) [node, last] = [node >> 1n, last >> 1n];
  let [oldFound, found] = [hashes[0], hashes[0]];
  for (const hash of hashes.slice(1)) {
    if (last === 0n) throw unproved();
    if (node & 1n || node === last) {
      oldFound = nodeHash(hash, oldFound);
      found = nodeHash(hash, found);
      while (!(node & 1n) && node) [node, last] = [node >> 1n, last >> 1n];
    } else found = nodeHash(found, hash);
    [node, last] = [node >> 1n, last >> 1n];
  }
  if (last || compare(oldFound, oldRoot) || compare(found, root)) throw unproved();
}

// --- checkpoints (C2SP signed notes)

const ED25519 = 1, COSIGNATURE = 4;
const DASH = "\u2014 ";
const MOST_NOTE = 16 * 1024;
const FRESH = 24 * 3600 * 1000;
const base64 = (text) => fromBase64(text, sodium.base64_variants.ORIGINAL);
const toBase64 = (bytes) => sodium.to_base64(bytes, sodium.base64_variants.ORIGINAL);

const split = (text, at) => {
  const found = text.indexOf(at);
  return found < 0 ? [text, "", ""]
    : [text.slice(0, found), at, text.slice(found + at.length)];
};

const keyId = ({ name, public: key }, kind) =>
  sha256(utf8(name), ascii("\n"), u8(kind), key).slice(0, 4);

export function readKey(text) {
  const [name, , rest] = split(text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, ""), "+");
  const [stated, , encoded] = split(rest, "+");
  const data = base64(encoded);
  if (data[0] !== ED25519) throw malformed();
  const key = { name, public: exactly(data.slice(1), 32) };
  if (!/^[!-~]+$/.test(name) || name.includes("+")) throw malformed();
  admitSign(key.public);
  const id = keyId(key, ED25519);
  if (hex(id) !== stated) throw malformed();
  return { ...key, id };
}

function decimal(text) {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text) || BigInt(text) > BigInt(LARGEST)) throw malformed();
  return Number(text);
}

function readCheckpoint(text) {
  if (!text.isWellFormed() || utf8(text).length > MOST_NOTE) throw malformed();
  const [body, separator] = split(text, "\n\n");
  const lines = body.split("\n");
  const isShaped = separator && lines.length === 4 && lines[0] && lines[3].startsWith("time ");
  if (!isShaped) throw malformed();
  const root = exactly(base64(lines[2]), 32);
  const found = {
    origin: lines[0], size: decimal(lines[1]), root, at: decimal(lines[3].slice(5)),
  };
  const { origin, size, at } = found;
  return { ...found, signed: utf8(`${origin}\n${size}\n${toBase64(root)}\ntime ${at}\n`) };
}

function signatures(text) {
  const lines = split(text, "\n\n")[2].split("\n");
  if (lines.length < 2 || lines.at(-1) || lines.length > 33) throw malformed();
  return lines.slice(0, -1).map((line) => {
    if (!line.startsWith(DASH)) throw malformed();
    const [name, , encoded] = split(line.slice(DASH.length), " ");
    const data = base64(encoded);
    if (!name || data.length < 68) throw malformed();
    return { name, id: data.slice(0, 4), signature: data.slice(4) };
  });
}

const isBy = (line, key, kind) =>
  line.name === key.name && compare(line.id, keyId(key, kind)) === 0;

export function verifyCheckpoint(text, log, witnesses, quorum) {
  const checkpoint = readCheckpoint(text);
  if (checkpoint.origin !== log.name) throw refused("wrong-log");
  const lines = signatures(text);
  const own = lines.filter((line) => isBy(line, log, ED25519));
  if (own.length !== 1) throw unsigned();
  verifyPlain(log.public, checkpoint.signed, exactly(own[0].signature, 64));
  const signed = witnesses.filter((witness) => lines.some((line) => {
    if (!isBy(line, witness, COSIGNATURE) || line.signature.length !== 72) return false;
    const seconds = new Reader(line.signature).number(8);
    const message = join(utf8(`cosignature/v1\ntime ${seconds}\n`), checkpoint.signed);
    return sodium.crypto_sign_verify_detached(line.signature.slice(8), message, witness.public);
  }));
  if (new Set(signed.map((witness) => hex(witness.public))).size < quorum) {
    throw refused("missing-witness");
  }
  return checkpoint;
}

export function advance(known, found, proof) {
  if (found.size < known.size) throw refused("shrunk-log");
  if (found.size > known.size) {
    verifyConsistency(known.size, known.root, found.size, found.root, proof);
  } else if (compare(found.root, known.root) !== 0) throw refused("split-view");
}

export function checkFresh(checkpointAt, at) {
  if (Math.abs(at - checkpointAt) > FRESH) throw refused("stale-checkpoint");
}

// --- bindings and leaves

export function verifyBinding(data, { label, issuer, issuerKey, at }) {
  const reader = new Reader(data);
  reader.magic(ascii("CRND\x01"));
  const binding = {
    handle: reader.oneOf(1, 4), label: reader.digest(), version: reader.u32(),
    account: reader.digest(), issuer: reader.text(128), notBefore: reader.u64(),
    notAfter: reader.u64(), signature: reader.take(64),
  };
  reader.end();
  if (binding.version < 1) throw malformed();
  if (compare(binding.label, label) || binding.issuer !== issuer) throw refused("wrong-binding");
  const isOver = binding.notAfter && at > binding.notAfter;
  if (at < binding.notBefore || isOver) throw refused("wrong-binding");
  verify(issuerKey, labels.SIGN_BINDING, data.slice(0, -64), binding.signature);
  return binding;
}

export const professionalLabel = (registerId) =>
  sha256(prefix(labels.PROFESSIONAL), utf8(registerId));
export const chainLeaf = (account, number, entry, blind) =>
  join(u8(1), account, u32(number), sha256(entry, blind));
export const bindingLeaf = (label, version, binding, blind) =>
  join(u8(2), label, u32(version), sha256(binding, blind));

