// Recovery codes and backups, pairing of devices, and safety numbers.

import {
  Reader, admitBox, admitSign, ascii, blake2b, boxPublic, compare, decrypt, derive, digest, isEqual,
  join, labels, malformed, orUnopened, prefix, refused, sign, signPublic, sodium, strip, u64, u8,
  unopened, utf8, verify,
} from "./wire.mjs";
import { deviceId, isStretchable, possession } from "./account.mjs";

// --- codes

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const checkOf = (value) => {
  const rest = Number(value % 1021n);
  return ALPHABET[Math.floor(rest / 32)] + ALPHABET[rest % 32];
};

export function readCode(text) {
  if (!/^[\x00-\x7f]*$/.test(text)) throw malformed();
  const plain = text.toUpperCase().replace(/[- \t\r\n]/g, "")
    .replace(/O/g, "0").replace(/[IL]/g, "1");
  if (plain.length !== 34 || [...plain].some((c) => !ALPHABET.includes(c))) throw malformed();
  const value = [...plain.slice(0, 32)].reduce(
    (found, c) => found * 32n + BigInt(ALPHABET.indexOf(c)), 0n,
  );
  if (checkOf(value) !== plain.slice(32)) throw malformed();
  const bits = sodium.from_hex(value.toString(16).padStart(40, "0"));
  const groups = plain.slice(0, 32).match(/.{4}/g);
  return { bits, text: [...groups, plain.slice(32)].join("-") };
}

export function stretch(code, passphrase, how) {
  if (!isStretchable(how)) throw refused("weak-parameters");
  if (!passphrase.isWellFormed()) throw malformed();
  const stretched = sodium.crypto_pwhash(
    32, utf8(passphrase.normalize("NFC")), how.salt, how.passes, how.memoryKib * 1024,
    sodium.crypto_pwhash_ALG_ARGON2ID13,
  );
  const secret = derive(stretched, labels.RECOVERY, code);
  const boxSecret = derive(secret, labels.RECOVERY_BOX);
  return {
    boxSecret, box: boxPublic(boxSecret), sign: signPublic(derive(secret, labels.RECOVERY_SIGN)),
    backupKey: derive(secret, labels.RECOVERY_BLOB),
  };
}

// --- backups

export const backupDigest = (backup) => digest(labels.BACKUP, backup);

export const openBackup = (backup, account, code, passphrase) =>
  orUnopened(() => open(backup, account, code, passphrase));

function open(backup, account, code, passphrase) {
  const how = account.recovery;
  if (!how || compare(backupDigest(backup), how.backup) !== 0) throw unopened();
  const keys = stretch(code, passphrase, how);
  if (compare(keys.box, how.recoveryBox) || compare(keys.sign, how.recoverySign)) throw unopened();
  const reader = new Reader(backup);
  reader.magic(ascii("CRNB\x01"));
  const isSame = reader.u8() === how.passes && reader.u32() === how.memoryKib
    && compare(reader.take(16), how.salt) === 0 && compare(reader.digest(), account.id) === 0;
  if (!isSame) throw unopened();
  reader.u32();
  const start = backup.slice(0, reader.at);
  const commitment = reader.digest();
  const expected = derive(keys.backupKey, labels.RECOVERY_BLOB_COMMITMENT, start);
  if (!isEqual(commitment, expected)) throw unopened();
  const key = derive(keys.backupKey, labels.RECOVERY_BLOB, start);
  const plain = decrypt(key, backup.slice(reader.at), join(start, commitment));
  const root = strip(plain);
  if (plain.length !== 4096 || root.length !== 32) throw unopened();
  if (compare(signPublic(root), account.root) !== 0) throw unopened();
  return root;
}

// --- pairing

const read = (data, magic, ...sizes) => {
  const reader = new Reader(data);
  reader.magic(ascii(`${magic}\x01`));
  const parts = sizes.map((size) => reader.take(size));
  reader.end();
  return parts;
};
const magic = (name) => ascii(`${name}\x01`);

function digits(keys, nonce, account, root, other) {
  const found = digest(labels.SAS, keys, nonce, account, root, other);
  const value = new Reader(found).number(8) % 10n ** 12n;
  return value.toString().padStart(12, "0").match(/.{4}/g).join(" ");
}

export class NewDevice {
  constructor(device, flag, nonce) {
    this.seed = device.slice(0, 32);
    this.keys = join(signPublic(this.seed), boxPublic(device.slice(32)));
    this.flag = flag;
    this.nonce = nonce;
  }

  show = () => join(magic("CRNQ"), this.keys, this.nonce);

  scan(answer) {
    const [account, root, seen] = read(answer, "CRNR", 32, 32, 32);
    if (!isEqual(seen, digest(labels.SAS, this.show()))) throw refused("mismatch");
    return { account, root };
  }

  commit = () =>
    join(magic("CRNS"), digest(labels.SAS_COMMITMENT, this.keys, this.nonce));

  reveal(reply) {
    const [account, root, nonce] = read(reply, "CRNT", 32, 32, 16);
    return {
      revealed: join(magic("CRNU"), this.keys, this.nonce), heard: { account, root },
      digits: digits(this.keys, this.nonce, account, root, nonce),
    };
  }

  prove({ account }) {
    const [signing, box] = [this.keys.slice(0, 32), this.keys.slice(32)];
    const shown = possession(account, signing, box, this.flag, 0);
    const held = sign(this.seed, labels.SIGN_POSSESSION, shown);
    return join(magic("CRNP"), this.keys, u8(this.flag), u64(0), held);
  }
}

export class OldDevice {
  constructor(account, nonce, failures = 0) {
    this.account = account;
    this.nonce = nonce;
    this.failures = failures;
    this.seen = null;
  }

  checkOpen() {
    if (this.failures >= 3) throw refused("locked");
  }

  scan(shown) {
    this.checkOpen();
    [this.seen] = read(shown, "CRNQ", 64, 16);
    return join(magic("CRNR"), this.account.id, this.account.root, digest(labels.SAS, shown));
  }

  reply(commitment) {
    this.checkOpen();
    [this.committed] = read(commitment, "CRNS", 32);
    return join(magic("CRNT"), this.account.id, this.account.root, this.nonce);
  }

  compare(revealed) {
    this.checkOpen();
    const [keys, nonce] = read(revealed, "CRNU", 64, 16);
    if (!isEqual(this.committed, digest(labels.SAS_COMMITMENT, keys, nonce))) this.refuse();
    this.seen = keys;
    return digits(keys, nonce, this.account.id, this.account.root, this.nonce);
  }

  refuse() {
    this.failures++;
    this.seen = null;
    throw refused("mismatch");
  }

  accept(proof) {
    const reader = new Reader(proof);
    reader.magic(magic("CRNP"));
    const [signing, box] = [reader.digest(), reader.digest()];
    const [flag, notAfter, held] = [reader.oneOf(1, 3), reader.u64(), reader.take(64)];
    reader.end();
    if (!this.seen || !isEqual(this.seen, join(signing, box))) this.refuse();
    admitSign(signing);
    admitBox(box);
    const shown = possession(this.account.id, signing, box, flag, notAfter);
    verify(signing, labels.SIGN_POSSESSION, shown, held);
    return {
      device: deviceId(signing, box), sign: signing, box, flag, notAfter, possession: held,
    };
  }
}

// --- safety numbers

export function accountNumber(account, root) {
  const start = join(prefix(labels.SAFETY), account, root);
  let state = start;
  for (let round = 0; round < 5200; round++) state = blake2b(join(state, start), 64);
  const value = new Reader(state).number(16) % 10n ** 30n;
  return value.toString().padStart(30, "0");
}

export const safetyNumber = (one, other) =>
  [one, other].sort().join("").match(/.{5}/g).join(" ");
