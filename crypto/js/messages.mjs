// Messages: envelopes, headers, bodies, and the files that they speak of.

import {
  Reader, ascii, blake2b, checkAscending, decrypt, derive, digest, hex, isEqual, isZero, join, labels,
  malformed, orUnopened, paddedLength, prefix, sodium, strip, u32, u64, unopened, unpad, verify,
} from "./wire.mjs";

const LEAST_BODY = 256;
const MOST_BODY = 64 * 1024;
const HEADER = 512;
const SALT_AND_TAG = 48;
const MOST_ENVELOPE = 108 + 4 + 528 + 4 + SALT_AND_TAG + MOST_BODY;

// --- the outer layout

export function readEnvelope(data) {
  if (data.length > MOST_ENVELOPE) throw malformed();
  const reader = new Reader(data);
  reader.magic(ascii("CRN1\x01\x01\x00\x00"));
  const [thread, epoch, salt, commitment] = [
    reader.digest(), reader.u32(), reader.digest(), reader.digest(),
  ];
  const sealedHeader = reader.opaque(HEADER + 16);
  const body = reader.opaque(SALT_AND_TAG + MOST_BODY);
  reader.end();
  if (sealedHeader.length !== HEADER + 16 || epoch < 1) throw malformed();
  const padded = body.length - SALT_AND_TAG;
  if (body.length && (padded < LEAST_BODY || paddedLength(padded - 1, LEAST_BODY) !== padded)) {
    throw malformed();
  }
  const start = data.slice(0, 108);
  return {
    thread, epoch, salt, commitment, sealedHeader, body, prefix: start,
    isErased: body.length === 0, name: digest(labels.ENVELOPE, start, sealedHeader),
    erased: join(start, u32(sealedHeader.length), sealedHeader, u32(0)),
  };
}

// --- the header

export function readHeader(data) {
  if (data.length !== HEADER) throw malformed();
  const reader = new Reader(strip(data));
  if (reader.u8() !== 1) throw malformed();
  const header = {
    account: reader.digest(), device: reader.take(16), sequence: reader.u64(),
    previous: reader.digest(), controlHead: reader.digest(),
  };
  header.heads = Array.from({ length: reader.oneOf(0, 4) }, () => reader.digest());
  checkAscending(header.heads);
  Object.assign(header, {
    checkpointSize: reader.u64(), checkpointRoot: reader.digest(), sentAt: reader.u64(),
    kind: reader.oneOf(1, 8), expiresAt: reader.u64(), body: reader.digest(),
  });
  const unsigned = data.slice(0, reader.at);
  header.signature = reader.take(64);
  reader.end();
  if (header.sequence < 1 || isZero(header.previous) !== (header.sequence === 1)) throw malformed();
  return { header, unsigned };
}

// --- bodies

const MOST_TEXT = 48 * 1024;
const MOST_NOTE = 4 * 1024;

export function readManifest(r) {
  return {
    file: r.take(16), key: r.digest(), streamHeader: r.take(24), sealedBytes: r.u64(),
    sealedDigest: r.digest(), plainBytes: r.u64(), name: r.text(1024), mime: r.text(256),
    createdAt: r.u64(),
  };
}

const contents = {
  1(r) {
    const onBehalfOf = r.digest();
    return { text: r.text(MOST_TEXT), onBehalfOf };
  },
  2(r) {
    const onBehalfOf = r.digest();
    const text = r.text(MOST_TEXT);
    const files = r.list(readManifest, 16);
    const ids = new Set(files.map((file) => hex(file.file)));
    if (!files.length || ids.size !== files.length) throw malformed();
    return { text, files, onBehalfOf };
  },
  3: (r) => ({ seen: r.list((each) => ({ device: each.take(16), sequence: each.u64() }), 512) }),
  4: (r) => ({ message: r.digest(), verdict: r.oneOf(1, 3), note: r.text(MOST_NOTE) }),
  5: (r) => ({ message: r.digest(), text: r.text(MOST_TEXT) }),
  6: (r) => ({ message: r.digest(), reason: r.oneOf(1, 3) }),
  7: (r) => ({ code: r.oneOf(1, 3), about: r.digest(), note: r.text(MOST_NOTE) }),
  8: (r) => ({ about: r.oneOf(1, 3), reference: r.digest() }),
};

export function readContent(data, kind) {
  const reader = new Reader(data);
  if (reader.u8() !== 1 || reader.u8() !== kind) throw malformed();
  const content = contents[kind](reader);
  reader.end();
  return content;
}

// --- opening

/** Opens a message, with its keys; whatever is wrong, it says only that it cannot. */
export const openMessage = (data, secret, accounts) =>
  orUnopened(() => open(data, secret, accounts));

function open(data, secret, accounts) {
  const envelope = readEnvelope(data);
  const start = envelope.prefix;
  const messageKey = derive(secret, labels.MESSAGE, data.slice(8, 76));
  const commitmentKey = derive(messageKey, labels.MESSAGE_COMMITMENT);
  const headerKey = derive(messageKey, labels.HEADER_KEY);
  const bodyKey = derive(messageKey, labels.BODY_KEY);
  const committed = blake2b(data.slice(0, 76), 32, commitmentKey);
  if (!isEqual(committed, envelope.commitment)) throw unopened();
  const padded = decrypt(headerKey, envelope.sealedHeader, join(start, ascii("H")));
  const { header, unsigned } = readHeader(padded);
  const device = accounts.get(hex(header.account))?.devices.get(hex(header.device));
  if (!device) throw unopened();
  const signed = join(start, unsigned);
  verify(device.sign, labels.SIGN_MESSAGE, signed, header.signature);
  const opened = {
    messageKey, commitmentKey, headerKey, bodyKey, header, signed, content: null,
    id: digest(labels.MESSAGE_ID, start, unsigned, header.signature),
  };
  if (envelope.isErased) return opened;
  if (!isEqual(digest(labels.BODY, envelope.body), header.body)) throw unopened();
  const saltedBodyKey = derive(bodyKey, labels.BODY_SALTED, envelope.body.slice(0, 32));
  const body = decrypt(saltedBodyKey, envelope.body.slice(32), join(start, ascii("B")));
  const content = readContent(unpad(body, LEAST_BODY), header.kind);
  return { ...opened, saltedBodyKey, content };
}

// --- files

export const CHUNK = 65536;
const OVERHEAD = 17;
const MAGIC = ascii("CRNF\x01\x00\x00\x00");
const PREFIX = 8 + 16 + 32 + 24;

export function sealedLength(length) {
  const padded = paddedLength(length);
  return PREFIX + padded + Math.ceil(padded / CHUNK) * OVERHEAD;
}

export const fileStart = ({ key, file, streamHeader }) =>
  join(MAGIC, file, derive(key, labels.FILE_COMMITMENT, join(file, streamHeader)), streamHeader);
export const chunkPlace = (file, index) => join(prefix(labels.CHUNK), file, u64(index));

/** Opens a whole blob. Nothing of it is given out before all of it has been verified. */
export function openFile(blob, manifest) {
  const { key, file, streamHeader, plainBytes } = manifest;
  const isLength = manifest.sealedBytes === sealedLength(plainBytes)
    && blob.length === manifest.sealedBytes;
  if (!isLength || !isEqual(blob.slice(0, PREFIX), fileStart(manifest))) throw unopened();
  if (!isEqual(blake2b(blob), manifest.sealedDigest)) throw unopened();
  const fileKey = derive(key, labels.FILE, file);
  const state = sodium.crypto_secretstream_xchacha20poly1305_init_pull(streamHeader, fileKey);
  const opened = [];
  for (let at = PREFIX, index = 0; at < blob.length; at += CHUNK + OVERHEAD, index++) {
    const sealed = blob.slice(at, at + CHUNK + OVERHEAD);
    if (sealed.length < OVERHEAD) throw unopened();
    const pulled = sodium.crypto_secretstream_xchacha20poly1305_pull(
      state, sealed, chunkPlace(file, index),
    );
    const isLast = at + sealed.length === blob.length;
    const tag = isLast ? sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
      : sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE;
    if (!pulled || pulled.tag !== tag) throw unopened();
    opened.push(pulled.message);
  }
  const padded = join(...opened);
  const isPadded = padded[plainBytes] === 0x80 && isZero(padded.slice(plainBytes + 1));
  if (!isPadded || padded.length !== paddedLength(plainBytes)) throw unopened();
  return { plain: padded.slice(0, plainBytes), fileKey };
}
