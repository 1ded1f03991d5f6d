// #region list
import type { DocumentLineFragment, DocumentsQuery } from './generated/graphql'

/** The list, the newest first, with one more document; unless it is there already. */
export function withDocument(kept: DocumentsQuery | null, node: DocumentLineFragment) {
  const record = kept?.record
  if (!record || record.documents.edges.some((edge) => edge.node.id === node.id)) return kept
  const edges = [{ __typename: 'DocumentEdge' as const, node }, ...record.documents.edges]
  return { ...kept, record: { ...record, documents: { ...record.documents, edges } } }
}
// #endregion
