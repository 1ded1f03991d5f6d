// urql: the same three ways.
import { Client, fetchExchange, subscriptionExchange } from '@urql/core'
import { createClient as createSse } from 'graphql-sse'
import { createClient as createWs } from 'graphql-ws'
import { pipe, subscribe } from 'wonka'
import WebSocket from 'ws'
import { authorization, describe, enough, say, task } from './task.mjs'

const clients = {
  ws: () =>
    createWs({ url: task.socket, webSocketImpl: WebSocket, connectionParams: authorization }),
  sse: () => createSse({ url: task.url, headers: authorization }),
}
const forwarding = clients[task.transport]?.()
const client = new Client({
  url: task.url,
  preferGetMethod: false,
  fetchOptions: { headers: authorization },
  exchanges: [
    fetchExchange,
    ...(forwarding
      ? [
          subscriptionExchange({
            forwardSubscription: (request) => ({
              subscribe: (sink) => ({
                unsubscribe: forwarding.subscribe(
                  { ...request, query: request.query ?? '' },
                  sink,
                ),
              }),
            }),
          }),
        ]
      : []),
  ],
  // Without an exchange of its own, urql subscribes over fetch and text/event-stream.
  fetchSubscriptions: task.transport === 'fetch',
})
const [{ query, variables }] = task.operations
if (task.transport === 'http') {
  const result = await client.query(query, variables).toPromise()
  say({ next: { data: result.data }, error: result.error && describe(result.error) })
} else {
  const { unsubscribe } = pipe(
    client.subscription(query, variables),
    subscribe((result) =>
      say(result.error ? { error: describe(result.error) } : { next: { data: result.data } }),
    ),
  )
  await enough
  unsubscribe()
}
process.exit(0)
