// urql as published: queries by POST and GET, errors, subscriptions over sockets and over fetch.
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from '@urql/core'
import { createClient } from 'graphql-ws'
import { pipe, toAsyncIterable } from 'wonka'
import WebSocket from 'ws'
import { authorization, run, task } from './task.mjs'
import { deposit, equal, FOLLOW, PAGE, recordId, until, VIEWER, WRONG } from './talk.mjs'

const record = await recordId()
const sockets = createClient({
  url: task.socket,
  webSocketImpl: WebSocket,
  connectionParams: authorization,
  retryAttempts: 0,
})
const overSockets = subscriptionExchange({
  forwardSubscription: ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: sockets.subscribe({ query, variables }, sink) }),
  }),
})
const made = (exchanges, options = {}) =>
  new Client({
    url: task.url,
    fetchOptions: { headers: authorization },
    preferGetMethod: false,
    exchanges,
    ...options,
  })
const plain = [cacheExchange, fetchExchange]
const follow = (client, title) =>
  until(
    pipe(client.subscription(FOLLOW, { record }), toAsyncIterable),
    title,
    () => deposit(record, title),
  )

await run({
  'a query': async () => {
    const { data, error } = await made(plain).query(VIEWER, {})
    equal([data?.viewer?.__typename, error], ['Patient', undefined])
  },
  'a query over GET': async () => {
    const client = made(plain, { preferGetMethod: 'force' })
    const { data, error } = await client.query(PAGE, { record, first: 1 })
    equal([data?.record?.id, error], [record, undefined])
  },
  'errors are GraphQL errors': async () => {
    const { error } = await made(plain).query(WRONG, {})
    equal(error.graphQLErrors[0].extensions.code, 'BAD_REQUEST')
  },
  'a subscription over a socket tells what happens': async () => {
    await follow(made([cacheExchange, overSockets, fetchExchange]), 'told to urql over a socket')
  },
  'a subscription over fetch tells what happens': async () => {
    const client = made(plain, { fetchSubscriptions: true })
    await follow(client, 'told to urql over fetch')
  },
})
