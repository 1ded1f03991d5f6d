// #region trusted
import { persistedExchange } from '@urql/exchange-persisted'
import type { DocumentNode } from 'graphql'

/** Sends `extensions.persistedQuery.sha256Hash`, as codegen computed it, and never the text. */
export const byName = persistedExchange({
  enforcePersistedQueries: true,
  enableForMutation: true,
  enableForSubscriptions: true,
  preferGetForPersistedQueries: false,
  generateHash: async (_, document: DocumentNode & { __meta__?: { hash: string } }) =>
    document.__meta__!.hash.replace('sha256:', ''),
})
// #endregion
