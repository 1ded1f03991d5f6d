// Apollo Client: subscriptions over graphql-ws or graphql-sse, everything else over HTTP.
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache, Observable } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { print } from 'graphql'
import { createClient as createSse } from 'graphql-sse'
import { createClient as createWs } from 'graphql-ws'
import WebSocket from 'ws'
import { authorization, describe, enough, say, task } from './task.mjs'

globalThis.WebSocket ??= WebSocket // browsers and newer Nodes have it; the link looks for it

class SseLink extends ApolloLink {
  client = createSse({ url: task.url, headers: authorization })
  request({ query, variables, operationName }) {
    return new Observable((sink) =>
      this.client.subscribe({ query: print(query), variables, operationName }, sink),
    )
  }
}

const over = {
  ws: () =>
    new GraphQLWsLink(
      createWs({ url: task.socket, webSocketImpl: WebSocket, connectionParams: authorization }),
    ),
  sse: () => new SseLink(),
  http: () => new HttpLink({ uri: task.url, headers: authorization }),
}
const client = new ApolloClient({ link: over[task.transport](), cache: new InMemoryCache() })
const [{ query, variables }] = task.operations
if (task.transport === 'http') {
  const result = await client.query({ query: gql(query), variables, errorPolicy: 'all' })
  say({ next: { data: result.data }, error: result.error && describe(result.error) })
} else {
  await new Promise((resolve) => {
    const following = client
      .subscribe({ query: gql(query), variables, errorPolicy: 'all' })
      .subscribe({
        next: (result) =>
          say(result.error ? { error: describe(result.error) } : { next: { data: result.data } }),
        error: (error) => resolve(say({ error: describe(error) })),
        complete: () => resolve(say({ complete: true })),
      })
    enough.then(() => {
      following.unsubscribe()
      resolve()
    })
  })
}
process.exit(0)
