// Apollo Client as published: queries, pages, a normalized cache, errors, subscriptions.
import {
  ApolloClient,
  ApolloLink,
  CombinedGraphQLErrors,
  gql,
  HttpLink,
  InMemoryCache,
} from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { relayStylePagination } from '@apollo/client/utilities'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { authorization, run, task } from './task.mjs'
import { deposit, equal, FOLLOW, PAGE, recordId, until, VIEWER, WRONG } from './talk.mjs'

globalThis.WebSocket ??= WebSocket // browsers and newer Nodes have it; the link looks for it

const record = await recordId()
const made = (http = {}) => {
  const sockets = createClient({
    url: task.socket,
    webSocketImpl: WebSocket,
    connectionParams: authorization,
    retryAttempts: 0,
  })
  const link = ApolloLink.split(
    ({ operationType }) => operationType === 'subscription',
    new GraphQLWsLink(sockets),
    new HttpLink({ uri: task.url, headers: authorization, ...http }),
  )
  const typePolicies = { Record: { fields: { documents: relayStylePagination() } } }
  return new ApolloClient({ link, cache: new InMemoryCache({ typePolicies }) })
}

async function* results(observable) {
  const waiting = []
  let wake = () => {}
  const following = observable.subscribe({
    next: (value) => (waiting.push({ value }), wake()),
    error: (error) => (waiting.push({ error }), wake()),
    complete: () => (waiting.push({ done: true }), wake()),
  })
  try {
    for (;;) {
      while (!waiting.length) await new Promise((resolve) => (wake = resolve))
      const { value, error, done } = waiting.shift()
      if (error) throw error
      if (done) return
      yield value
    }
  } finally {
    following.unsubscribe()
  }
}

await run({
  'a query': async () => {
    const { data } = await made().query({ query: gql(VIEWER) })
    equal(data.viewer.__typename, 'Patient')
  },
  'a query over GET': async () => {
    const client = made({ useGETForQueries: true })
    const { data } = await client.query({ query: gql(PAGE), variables: { record, first: 1 } })
    equal(data.record.id, record)
  },
  'pages are put together in the normalized cache': async () => {
    for (const title of ['page one', 'page two']) await deposit(record, title)
    const client = made()
    const watched = client.watchQuery({ query: gql(PAGE), variables: { record, first: 1 } })
    const following = watched.subscribe(() => {})
    const { data } = await watched.refetch()
    const { endCursor, hasNextPage } = data.record.documents.pageInfo
    equal(hasNextPage, true)
    await watched.fetchMore({ variables: { after: endCursor } })
    following.unsubscribe()
    const kept = client.readQuery({ query: gql(PAGE), variables: { record, first: 1 } })
    equal(kept.record.documents.edges.length, 2)
  },
  'errors are GraphQL errors': async () => {
    const error = await made()
      .query({ query: gql(WRONG) })
      .catch((error) => error)
    equal(CombinedGraphQLErrors.is(error), true)
    equal(error.errors[0].extensions.code, 'BAD_REQUEST')
  },
  'a subscription tells what happens': async () => {
    const observable = made().subscribe({ query: gql(FOLLOW), variables: { record } })
    await until(results(observable), 'told to Apollo', () => deposit(record, 'told to Apollo'))
  },
})
