// Control logs: what entries look like, what they make of a thread, and the wraps beside them.

import {
  Reader, ascii, checkAscending, compare, digest, hex, isEqual, isZero, labels, malformed,
  openSealed, prefix, refused, u32, unopened, verify,
} from "./wire.mjs";
import { isStale, newest } from "./account.mjs";

export const MAGIC = ascii("CRNC\x01");
const MOST_ENTRY = 64 * 1024;
const MOST_MEMBERS = 500;
const NO_HISTORY = 2 ** 32 - 1;
const SUITE = 1;
const MOST_EPOCH_AGE = 7 * 24 * 3600 * 1000;
const MOST_EPOCH_MESSAGES = 200;
const WRAP = 166;

const CREATE = 1, ADD = 2, REMOVE = 3, ROTATE = 4, POLICY = 5, CLOSE = 6, FORK_RESOLVE = 7, LEAVE = 8;
const MANAGER = 1, READER = 4;
const HISTORY_FROM_EPOCH = 1, HISTORY_ALL = 2;

// --- layouts

function policy(r) {
  const found = {
    mayAdd: r.oneOf(0, 15), mayRemove: r.oneOf(0, 15), history: r.oneOf(0, 2),
    isDelegationAllowed: r.oneOf(0, 1) === 1, leastSuite: r.u8(), retentionDays: r.u32(),
  };
  if (found.leastSuite < 1) throw malformed();
  return found;
}

function sorted(members) {
  checkAscending(members.map((member) => member.account));
  return members;
}

function rotation(r) {
  const member = (reader) => ({
    account: reader.digest(), generation: reader.u32(), aek: reader.digest(),
  });
  return {
    epoch: r.u32(), members: sorted(r.list(member, MOST_MEMBERS)), commitment: r.digest(),
    wraps: r.digest(),
  };
}

const bodies = {
  [CREATE](r) {
    const joined = (reader) => ({ account: reader.digest(), role: reader.oneOf(1, 4) });
    return {
      nonce: r.take(16), policy: policy(r), members: sorted(r.list(joined, MOST_MEMBERS)),
      rotation: rotation(r),
    };
  },
  [ADD](r) {
    const each = (reader) => ({
      account: reader.digest(), role: reader.oneOf(1, 4), historyFrom: reader.u32(),
    });
    const added = r.list(each, MOST_MEMBERS);
    const body = { added: sorted(added), rotation: rotation(r) };
    if (!added.length) throw malformed();
    return body;
  },
  [REMOVE]: (r) => ({ account: r.digest(), reason: r.oneOf(1, 3), rotation: rotation(r) }),
  [ROTATE]: (r) => ({ rotation: rotation(r) }),
  [POLICY]: (r) => ({ policy: policy(r) }),
  [CLOSE]: () => ({}),
  [FORK_RESOLVE]: (r) => ({ number: r.u32(), abandoned: r.digest() }),
  [LEAVE]: () => ({}),
};

export function readControl(data) {
  if (data.length > MOST_ENTRY) throw malformed();
  const reader = new Reader(data);
  reader.magic(MAGIC);
  const type = reader.oneOf(CREATE, LEAVE);
  const entry = {
    thread: reader.digest(), number: reader.u32(), link: reader.digest(),
    author: reader.digest(), device: reader.take(16), chainNumber: reader.u32(),
    checkpointSize: reader.u64(), checkpointRoot: reader.digest(), at: reader.u64(),
  };
  const inner = new Reader(reader.opaque(MOST_ENTRY));
  entry.body = bodies[type](inner);
  inner.end();
  entry.signature = reader.take(64);
  reader.end();
  return {
    ...entry, type, signed: data.slice(0, -64), digest: digest(labels.CONTROL_ENTRY, data),
  };
}

// --- rules

function checkAuthor(entry, author, isHistory) {
  if (compare(author.id, entry.author) !== 0) throw refused("wrong-account");
  if (author.number < entry.chainNumber) throw refused("out-of-order");
  const device = author.devices.get(hex(entry.device));
  if (!device || device.addedIn > entry.chainNumber) throw refused("unknown-device");
  if (device.revokedIn !== null) {
    const knew = device.revokedIn <= entry.chainNumber;
    const cameAfter = entry.checkpointSize > device.revokedAtSize;
    if (!isHistory || knew || cameAfter) throw refused("revoked-device");
  }
  if (device.notAfter && entry.at > device.notAfter) throw refused("expired-device");
  if (author.isClosed && (!isHistory || entry.chainNumber === author.number)) {
    throw refused("closed");
  }
  verify(device.sign, labels.SIGN_CONTROL, entry.signed, entry.signature);
}

function checkPolicy(found) {
  if (found.leastSuite > SUITE) throw refused("suite-too-low");
}

function checkRotation(found, epoch, members) {
  if (found.epoch !== epoch) throw refused("wrong-epoch");
  const expected = [...members.keys()].sort().join();
  if (found.members.map((member) => hex(member.account)).join() !== expected) {
    throw refused("incomplete-wraps");
  }
}

const only = (author, roles) => {
  if (!((1 << (author.role - 1)) & roles)) throw refused("not-authorized");
};

export function begin(data, author, isHistory) {
  const { type, body, ...entry } = readControl(data);
  if (type !== CREATE) throw malformed();
  if (entry.number || !isZero(entry.thread) || !isZero(entry.link)) throw malformed();
  checkAuthor({ ...entry, body }, author, isHistory);
  const members = new Map(body.members.map(({ account, role }) => [
    hex(account), { account, role, joinedIn: 0, historyFrom: 1 },
  ]));
  if (members.get(hex(entry.author))?.role !== MANAGER) throw refused("not-authorized");
  checkPolicy(body.policy);
  checkRotation(body.rotation, 1, members);
  return {
    id: digest(labels.THREAD, data), creator: entry.author,
    context: digest(labels.THREAD_CONTEXT, entry.author, body.nonce), policy: body.policy, members,
    epochs: [{ number: 1, rotation: body.rotation, entry: 0, at: entry.at }],
    number: 0, head: entry.digest, at: entry.at, hasLeft: false, isClosed: false,
  };
}

export function extend(thread, data, author, isHistory) {
  const entry = readControl(data);
  if (compare(entry.thread, thread.id) !== 0) throw refused("wrong-thread");
  if (entry.number !== thread.number + 1) throw refused("out-of-order");
  if (compare(entry.link, thread.head) !== 0) throw refused("broken-link");
  if (entry.at < thread.at) throw refused("time-regressed");
  if (thread.isClosed) throw refused("closed");
  const member = thread.members.get(hex(entry.author));
  if (!member) throw refused("unknown-member");
  checkAuthor(entry, author, isHistory);
  const rule = rules[entry.type];
  if (!rule) throw malformed(); // CREATE stands first only
  const changed = { ...thread, ...rule(thread, entry.body, member, entry) };
  return { ...changed, number: entry.number, head: entry.digest, at: entry.at };
}

function beginEpoch(thread, found, members, entry) {
  checkRotation(found, thread.epochs.length + 1, members);
  const before = new Map(
    thread.epochs.at(-1).rotation.members.map((each) => [hex(each.account), each.generation]),
  );
  if (found.members.some((each) => each.generation < (before.get(hex(each.account)) ?? 0))) {
    throw refused("wrong-generation");
  }
  const begun = { number: found.epoch, rotation: found, entry: entry.number, at: entry.at };
  return { members, epochs: [...thread.epochs, begun], hasLeft: false };
}

function historyFrom(thread, asked) {
  const following = thread.epochs.length + 1;
  if (asked === NO_HISTORY) return following;
  const { history } = thread.policy;
  const isAllowed = history === HISTORY_ALL || (history === HISTORY_FROM_EPOCH && asked > 1);
  if (!isAllowed || asked < 1 || asked > following) throw refused("not-authorized");
  return asked;
}

const rules = {
  [ADD](thread, body, author, entry) {
    only(author, thread.policy.mayAdd);
    const members = new Map(thread.members);
    for (const { account, role, historyFrom: asked } of body.added) {
      if (members.has(hex(account))) throw refused("duplicate");
      if (role === MANAGER && author.role !== MANAGER) throw refused("not-authorized");
      members.set(hex(account), {
        account, role, joinedIn: entry.number, historyFrom: historyFrom(thread, asked),
      });
    }
    return beginEpoch(thread, body.rotation, members, entry);
  },
  [REMOVE](thread, body, author, entry) {
    only(author, thread.policy.mayRemove);
    const gone = thread.members.get(hex(body.account));
    if (!gone) throw refused("unknown-member");
    const isSelf = compare(gone.account, author.account) === 0;
    if (isSelf || (gone.role === MANAGER && author.role !== MANAGER)) {
      throw refused("not-authorized");
    }
    const members = new Map(thread.members);
    members.delete(hex(gone.account));
    return beginEpoch(thread, body.rotation, members, entry);
  },
  [ROTATE](thread, body, author, entry) {
    if (author.role === READER) throw refused("not-authorized");
    return beginEpoch(thread, body.rotation, thread.members, entry);
  },
  [POLICY](thread, body, author) {
    only(author, MANAGER);
    checkPolicy(body.policy);
    if (body.policy.leastSuite < thread.policy.leastSuite) throw refused("suite-too-low");
    return { policy: body.policy };
  },
  [CLOSE](thread, body, author) {
    only(author, MANAGER);
    return { isClosed: true };
  },
  [FORK_RESOLVE](thread, body, author) {
    only(author, MANAGER);
    return {};
  },
  [LEAVE](thread, body, author) {
    const members = new Map(thread.members);
    members.delete(hex(author.account));
    return { members, hasLeft: true };
  },
};

// --- keys and wraps

export function digestOfWraps(wraps) {
  const ordered = wraps.toSorted((one, other) => compare(one.account, other.account));
  return digest(labels.WRAPS, ...ordered.flatMap(({ account, wrap }) => [account, wrap]));
}

export function checkWraps(found, wraps) {
  for (const { wrap } of wraps) if (wrap.length !== WRAP) throw malformed();
  const given = wraps.map((wrap) => hex(wrap.account)).sort().join();
  if (given !== found.members.map((member) => hex(member.account)).join()) {
    throw refused("incomplete-wraps");
  }
  if (compare(digestOfWraps(wraps), found.wraps) !== 0) throw refused("incomplete-wraps");
}

export function checkKeys(found, accounts) {
  for (const member of found.members) {
    const account = accounts.get(hex(member.account));
    if (!account) throw refused("unknown-member");
    const generation = account.generations[member.generation - 1];
    if (!generation || compare(generation.aek, member.aek) !== 0) throw refused("wrong-generation");
  }
}

export function checkRecipient(account, found, at) {
  if (account.isClosed) throw refused("closed");
  if (!newest(account)) throw refused("wrong-generation");
  if (isStale(account, at)) throw refused("rotation-due");
  const hasDelegates = [...account.delegations.values()].some((each) => at <= each.notAfter);
  if (!found.isDelegationAllowed && hasDelegates) throw refused("delegation-forbidden");
}

export function rotationDue(thread, accounts, at, messages) {
  const epoch = thread.epochs.at(-1);
  if (thread.hasLeft || messages >= MOST_EPOCH_MESSAGES) return true;
  if (at - epoch.at > MOST_EPOCH_AGE) return true;
  for (const member of epoch.rotation.members) {
    const account = accounts.get(hex(member.account));
    const generation = newest(account);
    if (!generation || generation.number < member.generation) throw refused("wrong-generation");
    if (generation.number > member.generation || isStale(account, at)) return true;
  }
  return false;
}

export const epochCommitment = (secret, context, epoch) =>
  digest(labels.EPOCH_COMMITMENT, secret, context, u32(epoch));

export function openWrap(wrap, thread, epoch, own, keys) {
  if (epoch < 1 || epoch > thread.epochs.length || wrap.length !== WRAP) throw unopened();
  for (const generation of [...keys.keys()].sort((one, other) => other - one)) {
    let opened;
    try {
      opened = openSealed(wrap, keys.get(generation).secret);
    } catch {
      continue;
    }
    const reader = new Reader(opened);
    const expected = [
      prefix(labels.WRAP), thread.context, u32(epoch), own, u32(generation),
    ];
    for (const part of expected) {
      if (compare(reader.take(part.length), part) !== 0) throw unopened();
    }
    const secret = reader.digest();
    reader.end();
    const commitment = epochCommitment(secret, thread.context, epoch);
    const { commitment: committed } = thread.epochs[epoch - 1].rotation;
    if (!isEqual(commitment, committed)) throw unopened();
    return { secret, commitment };
  }
  throw unopened();
}

