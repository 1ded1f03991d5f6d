// CRN1 for those who verify and open: what docs/protocol.md says, written a second time.

export * as wire from "./wire.mjs";
export * as accounts from "./account.mjs";
export * as threads from "./thread.mjs";
export * as messages from "./messages.mjs";
export * as recovery from "./recovery.mjs";
export * as directory from "./directory.mjs";
