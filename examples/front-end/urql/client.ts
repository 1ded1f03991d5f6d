// #region client
import { Client, fetchExchange, mapExchange, subscriptionExchange } from '@urql/core'
import { cacheExchange } from '@urql/exchange-graphcache'
import { relayPagination } from '@urql/exchange-graphcache/extras'
import schema from '../generated/introspection'
import type { FollowSubscription } from '../generated/graphql'
import { withDocument } from '../list'
import { DOCUMENTS } from '../operations'
import { authorization, session, trusted, url } from '../server'
import { follow } from '../sockets'
import { byName } from './trusted'

export const FIRST = 2 // documents on a page

export const newClient = () =>
  new Client({
    url,
    preferGetMethod: false,
    fetchOptions: () => ({ headers: authorization() }),
    exchanges: [
      whenSessionEnds,
      newCache(),
      ...(trusted ? [byName] : []), // see Trusted documents
      fetchExchange,
      overSocket,
    ],
  })

const whenSessionEnds = mapExchange({
  onError({ graphQLErrors, response }) {
    const codes = graphQLErrors.map(({ extensions }) => extensions?.code)
    if (codes.includes('UNAUTHENTICATED') || response?.status === 401) delete session.token
  },
})

const overSocket = subscriptionExchange({
  forwardSubscription: ({ query, variables, extensions }) => ({
    subscribe: (sink) => ({ unsubscribe: follow({ query: query!, variables, extensions }, sink) }),
  }),
})
// #endregion

// #region cache
const newCache = () =>
  cacheExchange({
    schema, // so that `... on UserError` finds AccessDenied and all others
    resolvers: { Record: { documents: relayPagination() } },
    updates: {
      Subscription: {
        documentEvents({ documentEvents: event }: FollowSubscription, args, cache) {
          if (event.__typename === 'DocumentDeposited') {
            const variables = { record: args.record as string, first: FIRST }
            cache.updateQuery({ query: DOCUMENTS, variables }, (kept) =>
              withDocument(kept, event.document),
            )
          }
          if (event.__typename === 'DocumentReplaced')
            cache.invalidate({ __typename: 'Record', id: args.record as string }, 'documents')
          if (event.__typename === 'DocumentRemoved')
            cache.invalidate({ __typename: 'Document', id: event.documentId })
        },
      },
    },
  })
// #endregion
