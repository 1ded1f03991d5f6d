// Account chains: what entries look like, and what they make of an account, one after another.

import {
  Reader, admitBox, admitSign, ascii, boxPublic, checkAscending, compare, decrypt, derive,
  digest, hex, isEqual, isZero, join, labels, malformed, openSealed, prefix, refused, u32, u64, u8,
  unopened, verify, zeros,
} from "./wire.mjs";

export const MAGIC = ascii("CRNA\x01");
const MOST_ENTRY = 256 * 1024;
const MOST_WRAPS = 512;
const SEED_FOR_DEVICE = 151;
const SEED_FOR_ACCOUNT = 167;
const SEED_BEFORE = 48;
const ROOT_DELAY = 72 * 3600 * 1000;
const RECOVERY = zeros(16); // stands for the recovery key among those a seed is wrapped for

export const GENESIS = 1, ADD_DEVICE = 2, REVOKE_DEVICE = 3, AEK_ROTATE = 4, ROTATE_ROOT = 5;
export const RECOVERY_SET = 6, DELEGATE = 7, UNDELEGATE = 8, ROSTER = 9, CLOSE = 10;

// --- layouts

function box(reader, size, orNone = false) {
  const found = reader.opaque(size);
  if (found.length !== size && (found.length > 0 || !orNone)) throw malformed();
  return found;
}
const deviceWrap = (reader) => ({ device: reader.take(16), box: box(reader, SEED_FOR_DEVICE) });
const accountWrap = (reader) => ({
  account: reader.digest(), generation: reader.u32(), box: box(reader, SEED_FOR_ACCOUNT),
});

const bodies = {
  [GENESIS]: (r) => ({
    kind: r.oneOf(1, 3), root: r.digest(), recoveryBox: r.digest(), recoverySign: r.digest(),
  }),
  [ADD_DEVICE]: (r) => ({
    device: r.take(16), sign: r.digest(), box: r.digest(), flag: r.oneOf(1, 3),
    notAfter: r.u64(), possession: r.take(64), wrap: box(r, SEED_FOR_DEVICE, true),
  }),
  [REVOKE_DEVICE]: (r) => ({
    device: r.take(16), reason: r.oneOf(1, 3), checkpointSize: r.u64(), checkpointRoot: r.digest(),
  }),
  [AEK_ROTATE](r) {
    const body = {
      generation: r.u32(), aek: r.digest(), commitment: r.digest(),
      previous: box(r, SEED_BEFORE, true), devices: r.list(deviceWrap, MOST_WRAPS),
      accounts: r.list(accountWrap, MOST_WRAPS), recovery: box(r, SEED_FOR_DEVICE),
    };
    checkAscending(body.devices.map((wrap) => wrap.device));
    checkAscending(body.accounts.map((wrap) => wrap.account));
    return body;
  },
  [ROTATE_ROOT](r) {
    const body = { root: r.digest(), possession: r.take(64), consent: r.opaque(64) };
    if (![0, 64].includes(body.consent.length)) throw malformed();
    return body;
  },
  [RECOVERY_SET]: (r) => ({
    recoveryBox: r.digest(), recoverySign: r.digest(), backup: r.digest(),
    passes: r.u8(), memoryKib: r.u32(), salt: r.take(16),
  }),
  [DELEGATE](r) {
    const body = {
      delegate: r.digest(), scope: r.oneOf(1, 3), notBefore: r.u64(), notAfter: r.u64(),
      wrap: accountWrap(r),
    };
    if (compare(body.wrap.account, body.delegate) !== 0) throw malformed();
    if (body.notAfter <= body.notBefore) throw malformed();
    return body;
  },
  [UNDELEGATE]: (r) => ({ delegate: r.digest() }),
  [ROSTER](r) {
    const member = (reader) => ({ wrap: accountWrap(reader), role: reader.oneOf(1, 2) });
    const members = r.list(member, MOST_WRAPS);
    checkAscending(members.map((each) => each.wrap.account));
    return { members };
  },
  [CLOSE]: () => ({}),
};

export function readEntry(data) {
  if (data.length > MOST_ENTRY) throw malformed();
  const reader = new Reader(data);
  reader.magic(MAGIC);
  const type = reader.oneOf(GENESIS, CLOSE);
  const entry = {
    account: reader.digest(), number: reader.u32(), link: reader.digest(), at: reader.u64(),
    signer: reader.take(16),
  };
  const inner = new Reader(reader.opaque(MOST_ENTRY));
  entry.body = bodies[type](inner);
  inner.end();
  entry.signature = reader.take(64);
  reader.end();
  return {
    ...entry, type, signed: data.slice(0, -64), digest: digest(labels.ACCOUNT_ENTRY, data),
  };
}

export const deviceId = (sign, box_) => digest(labels.DEVICE, sign, box_).slice(0, 16);
export const rootSigner = (root) => digest(labels.ROOT_SIGNER, root).slice(0, 16);
const recoverySigner = (key) => digest(labels.RECOVERY_SIGNER, key).slice(0, 16);
export const possession = (account, sign, box_, flag, notAfter) =>
  join(account, sign, box_, u8(flag), u64(notAfter));

// --- rules. Maps are by hex.

const mayAct = (device, at) =>
  device.revokedIn === null && (device.notAfter === 0 || at <= device.notAfter);

function deviceAt(account, id, at) {
  const device = account.devices.get(hex(id));
  if (!device) throw refused("unknown-device");
  if (device.revokedIn !== null) throw refused("revoked-device");
  if (!mayAct(device, at)) throw refused("expired-device");
  return device;
}

export const newest = (account) => account.generations.at(-1);

export const rootAt = (account, at) =>
  account.pendingRoot && at >= account.pendingRoot.from ? account.pendingRoot.root : account.root;

export function wrappedFor(account, at) {
  const devices = [...account.devices.values()].filter((device) => mayAct(device, at));
  const delegates = [...account.delegations.values()].filter((each) => at <= each.notAfter);
  const accounts = new Map(account.roster);
  for (const each of delegates) accounts.set(hex(each.delegate), null);
  return {
    devices: devices.map((device) => hex(device.id)).sort(),
    accounts: [...accounts.keys()].sort(),
  };
}

export function isStale(account, at) {
  const generation = newest(account);
  if (!generation) return false;
  const given = [
    ...[...account.devices.values()]
      .filter((device) => device.notAfter && device.revokedIn === null)
      .map((device) => [device.notAfter, device.addedIn]),
    ...[...account.delegations.values()].map((each) => [each.notAfter, each.givenIn]),
  ];
  return account.needsNewAek || given.some(
    ([end, since]) => end < at && (generation.at <= end || generation.entry < since),
  );
}

export function begin(data) {
  const { type, body, ...entry } = readEntry(data);
  if (type !== GENESIS) throw malformed();
  if (entry.number || !isZero(entry.account) || !isZero(entry.link)) throw malformed();
  admitSign(body.root);
  admitSign(body.recoverySign);
  admitBox(body.recoveryBox);
  if (compare(entry.signer, rootSigner(body.root)) !== 0) throw refused("unknown-signer");
  verify(body.root, labels.SIGN_ACCOUNT, entry.signed, entry.signature);
  return {
    id: digest(labels.ACCOUNT, data), ...body, number: 0, head: entry.digest, at: entry.at,
    devices: new Map(), generations: [], recovery: null, pendingRoot: null, delegations: new Map(),
    roster: new Map(), roots: [{ from: 0, root: body.root }], needsNewAek: false, isClosed: false,
  };
}

export function extend(account, data) {
  const entry = readEntry(data);
  if (account.isClosed) throw refused("closed");
  if (compare(entry.account, account.id) !== 0) throw refused("wrong-account");
  if (entry.number !== account.number + 1) throw refused("out-of-order");
  if (compare(entry.link, account.head) !== 0) throw refused("broken-link");
  if (entry.at < account.at) throw refused("time-regressed");
  checkSigner(account, entry);
  const settled = settleRoot(account, entry);
  const rule = rules[entry.type];
  if (!rule) throw malformed(); // GENESIS stands first only
  const changed = { ...settled, ...rule(settled, entry.body, entry) };
  return { ...changed, number: entry.number, head: entry.digest, at: entry.at };
}

function checkSigner(account, entry) {
  const root = rootAt(account, entry.at);
  let key;
  if (compare(entry.signer, rootSigner(root)) === 0) key = root;
  else if (compare(entry.signer, recoverySigner(account.recoverySign)) === 0) {
    if (entry.type !== ROTATE_ROOT) throw refused("not-authorized");
    key = account.recoverySign;
  } else {
    if (!account.devices.has(hex(entry.signer))) throw refused("unknown-signer");
    const device = deviceAt(account, entry.signer, entry.at);
    if (entry.type !== AEK_ROTATE || device.flag !== 1) throw refused("not-authorized");
    key = device.sign;
  }
  verify(key, labels.SIGN_ACCOUNT, entry.signed, entry.signature);
}

function settleRoot(account, entry) {
  if (!account.pendingRoot || entry.at < account.pendingRoot.from) return account;
  const { root } = account.pendingRoot;
  const roots = [...account.roots, { from: account.number + 1, root }];
  return { ...account, root, roots, pendingRoot: null };
}

const sameKeys = (wraps, key, expected) =>
  wraps.map((wrap) => hex(wrap[key])).join() === expected.join();

const rules = {
  [ADD_DEVICE](account, body, entry) {
    admitSign(body.sign);
    admitBox(body.box);
    const id = deviceId(body.sign, body.box);
    if (compare(body.device, id) !== 0) throw refused("bad-device-id");
    if (account.devices.has(hex(id))) throw refused("duplicate");
    if (account.devices.size >= MOST_WRAPS) throw refused("too-many");
    const shown = possession(account.id, body.sign, body.box, body.flag, body.notAfter);
    verify(body.sign, labels.SIGN_POSSESSION, shown, body.possession);
    if (body.wrap.length > 0 !== account.generations.length > 0) throw refused("incomplete-wraps");
    const { device, possession: _, ...rest } = body;
    const added = {
      id: device, ...rest, addedIn: entry.number, revokedIn: null, revokedAtSize: null,
    };
    return { devices: new Map(account.devices).set(hex(id), added) };
  },
  [REVOKE_DEVICE](account, body, entry) {
    const device = account.devices.get(hex(body.device));
    if (!device) throw refused("unknown-device");
    if (device.revokedIn !== null) throw refused("duplicate");
    const gone = { ...device, revokedIn: entry.number, revokedAtSize: body.checkpointSize };
    const devices = new Map(account.devices).set(hex(body.device), gone);
    return { devices, needsNewAek: account.generations.length > 0 };
  },
  [AEK_ROTATE](account, body, entry) {
    if (body.generation !== account.generations.length + 1) throw refused("wrong-generation");
    const { devices, accounts } = wrappedFor(account, entry.at);
    const isComplete = body.previous.length > 0 === account.generations.length > 0
      && sameKeys(body.devices, "device", devices) && sameKeys(body.accounts, "account", accounts);
    if (!isComplete) throw refused("incomplete-wraps");
    admitBox(body.aek);
    const { generation, aek, commitment } = body;
    const made = {
      number: generation, aek, commitment, entry: entry.number, at: entry.at, rotation: body,
    };
    return { generations: [...account.generations, made], needsNewAek: false };
  },
  [ROTATE_ROOT](account, body, entry) {
    admitSign(body.root);
    const shown = join(account.id, u32(entry.number), entry.link, body.root);
    verify(body.root, labels.SIGN_POSSESSION, shown, body.possession);
    const isRecovery = compare(entry.signer, recoverySigner(account.recoverySign)) === 0;
    if (body.consent.length) {
      const other = isRecovery ? account.root : account.recoverySign;
      verify(other, labels.SIGN_ROOT_CHANGE, shown, body.consent);
    } else if (isRecovery) {
      return { pendingRoot: { root: body.root, from: entry.at + ROOT_DELAY } };
    }
    const roots = [...account.roots, { from: entry.number, root: body.root }];
    return { root: body.root, roots, pendingRoot: null };
  },
  [RECOVERY_SET](account, body) {
    if (account.pendingRoot) throw refused("not-authorized");
    admitBox(body.recoveryBox);
    admitSign(body.recoverySign);
    if (!isStretchable(body)) throw refused("weak-parameters");
    const { recoveryBox, recoverySign } = body;
    return { recoveryBox, recoverySign, recovery: body };
  },
  [DELEGATE](account, body, entry) {
    if (compare(body.delegate, account.id) === 0) throw refused("wrong-account");
    if (!account.generations.length) throw refused("wrong-generation");
    const given = { ...body, givenIn: entry.number };
    const delegations = new Map(account.delegations).set(hex(body.delegate), given);
    checkMany(delegations, account.roster);
    return { delegations };
  },
  [UNDELEGATE](account, body) {
    const delegations = new Map(account.delegations);
    if (!delegations.delete(hex(body.delegate))) throw refused("unknown-member");
    return { delegations, needsNewAek: true };
  },
  [ROSTER](account, body) {
    const roster = new Map(body.members.map((each) => [hex(each.wrap.account), each]));
    if (account.kind === 1 || roster.has(hex(account.id))) throw refused("not-authorized");
    if (!account.generations.length) throw refused("wrong-generation");
    checkMany(account.delegations, roster);
    const hasLeft = [...account.roster.keys()].some((id) => !roster.has(id));
    return { roster, needsNewAek: account.needsNewAek || hasLeft };
  },
  [CLOSE]: () => ({ isClosed: true }),
};

export const isStretchable = ({ passes, memoryKib, salt }) =>
  passes >= 3 && passes <= 10 && memoryKib >= 65536 && memoryKib <= 1048576 && salt.length === 16;

function checkMany(delegations, roster) {
  if (new Set([...delegations.keys(), ...roster.keys()]).size > MOST_WRAPS) throw refused("too-many");
}

// --- encryption keys

export function aekKeys(generation, seed) {
  const secret = derive(seed, labels.AEK_BOX);
  return {
    number: generation, seed, secret, public: boxPublic(secret),
    commitment: digest(labels.AEK_COMMITMENT, seed), storeKey: derive(seed, labels.AEK_STORE),
  };
}

/** All generations that the holder of a seed's wrap reaches, by number. */
function reach(account, generation, recipient, opened) {
  const context = join(
    prefix(labels.AEK_WRAP), account.id, u32(generation.number), u8(recipient.length), recipient,
  );
  if (compare(opened.slice(0, context.length), context) !== 0) throw unopened();
  let keys = committed(generation, opened.slice(context.length));
  const found = new Map([[keys.number, keys]]);
  while (keys.number > 1) {
    const of = join(account.id, u32(keys.number));
    const { previous } = account.generations[keys.number - 1].rotation;
    const seed = decrypt(derive(keys.seed, labels.AEK_PREVIOUS, of), previous, of);
    keys = committed(account.generations[keys.number - 2], seed);
    found.set(keys.number, keys);
  }
  return found;
}

function committed(generation, seed) {
  if (seed.length !== 32) throw unopened();
  const keys = aekKeys(generation.number, seed);
  const isSame = isEqual(keys.commitment, generation.commitment)
    && isEqual(keys.public, generation.aek);
  if (!isSame) throw unopened();
  return keys;
}

export function openGenerations(account, id, secret) {
  const device = account.devices.get(hex(id));
  if (!device) throw refused("unknown-device");
  for (const generation of account.generations.toReversed()) {
    const wrap = generation.rotation.devices.find((each) => compare(each.device, id) === 0);
    const added = device.wrap.length && generation.entry < device.addedIn ? device.wrap : null;
    const sealed = wrap?.box ?? added;
    if (sealed) return reach(account, generation, id, openSealed(sealed, secret));
  }
  return new Map();
}

export function openDelegated(account, own, keys) {
  for (const generation of account.generations.toReversed()) {
    const wrap = generation.rotation.accounts.find((each) => compare(each.account, own) === 0)
      ?? givenAfter(account, generation, hex(own));
    if (!wrap) continue;
    const mine = keys.get(wrap.generation);
    if (!mine) throw unopened();
    return reach(account, generation, own, openSealed(wrap.box, mine.secret));
  }
  throw refused("unknown-member");
}

function givenAfter(account, generation, own) {
  if (generation !== newest(account)) return null;
  const delegation = account.delegations.get(own);
  if (delegation && delegation.givenIn > generation.entry) return delegation.wrap;
  return account.roster.get(own)?.wrap ?? null;
}

export function openRecovered(account, secret) {
  const generation = newest(account);
  if (!generation) return new Map();
  const opened = openSealed(generation.rotation.recovery, secret);
  return reach(account, generation, RECOVERY, opened);
}

