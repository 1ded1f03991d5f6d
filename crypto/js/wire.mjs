// Bytes, fields, labels, primitives and padding: what all other modules are made of.

import { readFileSync } from "node:fs";
import sodium from "libsodium-wrappers-sumo";

await sodium.ready;
export { sodium };

// --- what is refused: one error, which says its verdict as the vectors name it

export class Failure extends Error {
  constructor(verdict) {
    super(verdict);
    this.verdict = verdict;
  }
}
export const malformed = () => new Failure("malformed");
export const refused = (reason) => new Failure(`refused:${reason}`);
export const unsigned = () => new Failure("signature");
export const unproved = () => new Failure("proof");
export const unopened = () => new Failure("open");

/** Runs something that may fail in any way, and says only that it cannot be opened. */
export function orUnopened(run) {
  try {
    return run();
  } catch (error) {
    if (error instanceof Failure) throw unopened();
    throw error;
  }
}

// --- bytes

export const hex = (bytes) => sodium.to_hex(bytes);
export const fromHex = (text) => sodium.from_hex(text);
export const zeros = (length) => new Uint8Array(length);
export const isZero = (bytes) => bytes.every((byte) => byte === 0);
export const ascii = (text) => Uint8Array.from(text, (c) => c.charCodeAt(0));
export const utf8 = (text) => new TextEncoder().encode(text);
export const LARGEST = Number.MAX_SAFE_INTEGER;

export function join(...parts) {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export const isEqual = (one, other) => one.length === other.length && sodium.memcmp(one, other);

/** Less than, equal to, or more than zero, as bytes are in order. */
export function compare(one, other) {
  for (let at = 0; at < Math.min(one.length, other.length); at++) {
    if (one[at] !== other[at]) return one[at] - other[at];
  }
  return one.length - other.length;
}

export function number(value, size) {
  const bytes = zeros(size);
  for (let at = size - 1, left = BigInt(value); at >= 0; at--, left >>= 8n) {
    bytes[at] = Number(left & 255n);
  }
  return bytes;
}
export const u8 = (value) => number(value, 1);
export const u32 = (value) => number(value, 4);
export const u64 = (value) => number(value, 8);
export const opaque = (bytes) => join(u32(bytes.length), bytes);

export function exactly(bytes, size) {
  if (bytes.length !== size) throw malformed();
  return bytes;
}

// --- reading

export class Reader {
  constructor(data) {
    this.data = data;
    this.at = 0;
  }

  take(length) {
    if (this.at + length > this.data.length) throw malformed();
    this.at += length;
    return this.data.slice(this.at - length, this.at);
  }

  magic(expected) {
    if (compare(this.take(expected.length), expected) !== 0) throw malformed();
  }

  number(size) {
    return this.take(size).reduce((found, byte) => found * 256n + BigInt(byte), 0n);
  }

  u8 = () => Number(this.number(1));
  u16 = () => Number(this.number(2));
  u32 = () => Number(this.number(4));
  digest = () => this.take(32);

  u64() {
    const found = this.number(8);
    if (found > BigInt(LARGEST)) throw malformed();
    return Number(found);
  }

  /** One byte from least to most, each of which names something. */
  oneOf(least, most) {
    const found = this.u8();
    if (found < least || found > most) throw malformed();
    return found;
  }

  opaque(most) {
    const length = this.u32();
    if (length > most) throw malformed();
    return this.take(length);
  }

  text(most) {
    const data = this.opaque(most);
    if (data.includes(0)) throw malformed();
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    } catch {
      throw malformed();
    }
  }

  list(item, most) {
    const count = this.u16();
    if (count > most) throw malformed();
    return Array.from({ length: count }, () => item(this));
  }

  end() {
    if (this.at !== this.data.length) throw malformed();
  }
}

export function checkAscending(keys) {
  for (let at = 1; at < keys.length; at++) {
    if (compare(keys[at - 1], keys[at]) >= 0) throw malformed();
  }
}

export function fromBase64(text, variant) {
  try {
    const data = sodium.from_base64(text, variant);
    if (sodium.to_base64(data, variant) === text) return data;
  } catch {
    // Whatever sodium says of it, it is not base64.
  }
  throw malformed();
}
export const fromBase64url = (text) =>
  fromBase64(text, sodium.base64_variants.URLSAFE_NO_PADDING);
export const toBase64url = (bytes) =>
  sodium.to_base64(bytes, sodium.base64_variants.URLSAFE_NO_PADDING);

// --- labels, digests, keys, signatures

const registry = JSON.parse(
  readFileSync(new URL("../vectors/labels.json", import.meta.url), "utf-8"),
);
export const labels = registry.labels;
export const prefix = (label) => ascii(`${registry.context}${label}\x00`);

export const blake2b = (bytes, length = 32, key = null) =>
  sodium.crypto_generichash(length, bytes, key);
export const sha256 = (...parts) => sodium.crypto_hash_sha256(join(...parts));
export const digest = (label, ...parts) => blake2b(join(prefix(label), ...parts));
export const derive = (key, label, info = zeros(0)) => blake2b(join(prefix(label), info), 32, key);

export function verifyPlain(key, message, signature) {
  if (!sodium.crypto_sign_verify_detached(signature, message, key)) throw unsigned();
}
export const verify = (key, label, message, signature) =>
  verifyPlain(key, join(prefix(label), message), signature);

export function sign(seed, label, message) {
  const { privateKey } = sodium.crypto_sign_seed_keypair(seed);
  return sodium.crypto_sign_detached(join(prefix(label), message), privateKey);
}
export const signPublic = (seed) => sodium.crypto_sign_seed_keypair(seed).publicKey;
export const boxPublic = (secret) => sodium.crypto_scalarmult_base(secret);

export function admitSign(key) {
  if (!sodium.crypto_core_ed25519_is_valid_point(key)) throw refused("bad-key");
}

export function admitBox(key) {
  const field = 2n ** 255n - 19n;
  const value = new Reader(key.slice().reverse()).number(32);
  if (value >= field || !hasSharedSecret(key)) throw refused("bad-key");
}

function hasSharedSecret(key) {
  try {
    sodium.crypto_scalarmult(new Uint8Array(32).fill(1), key);
    return true;
  } catch {
    return false;
  }
}

export function openSealed(box, secret) {
  try {
    return sodium.crypto_box_seal_open(box, boxPublic(secret), secret);
  } catch {
    throw unopened();
  }
}

export function decrypt(key, ciphertext, associated) {
  try {
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
      null, ciphertext, associated, zeros(24), key,
    );
  } catch {
    throw unopened();
  }
}

// --- padding

/** The smallest length of the class that a length belongs to. */
export function padme(length) {
  if (length < 2) return length;
  const whole = BigInt(length);
  const exponent = whole.toString(2).length - 1;
  const kept = exponent.toString(2).length;
  const mask = exponent > kept ? (1n << BigInt(exponent - kept)) - 1n : 0n;
  return Number((whole + mask) & ~mask);
}
export const paddedLength = (length, least = 0) => Math.max(least, padme(length + 1));

export function pad(content, least = 0) {
  const padding = zeros(paddedLength(content.length, least) - content.length);
  padding[0] = 0x80;
  return join(content, padding);
}

export function strip(padded) {
  let end = padded.length;
  while (end > 0 && padded[end - 1] === 0) end--;
  if (end === 0 || padded[end - 1] !== 0x80) throw malformed();
  return padded.slice(0, end - 1);
}

export function unpad(padded, least = 0) {
  const content = strip(padded);
  if (padded.length !== paddedLength(content.length, least)) throw malformed();
  return content;
}
