// #region trusted
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import type { DocumentNode } from 'graphql'

/** Sends `extensions.persistedQuery.sha256Hash`, as codegen computed it, and never the text. */
export const byName = new PersistedQueryLink({
  generateHash: (document: DocumentNode & { __meta__?: { hash: string } }) =>
    document.__meta__!.hash.replace('sha256:', ''),
  retry: () => false, // a text that the server does not know would be refused as well
})
// #endregion
