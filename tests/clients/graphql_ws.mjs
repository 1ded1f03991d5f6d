// graphql-ws: one socket, as many operations as the test asks for. The client retries by itself;
// the payload is asked for anew each time, so that it goes on from the last cursor.
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { authorization, cursorOf, describe, enough, say, task } from './task.mjs'

const client = createClient({
  url: task.socket,
  webSocketImpl: WebSocket,
  connectionParams: authorization,
  retryAttempts: task.retries ?? 0,
  shouldRetry: () => true, // Node tells of a refused connection in another way than browsers do
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 200)),
  keepAlive: task.keepAlive ?? 0,
  on: { closed: (event) => say({ closed: event.code }), connected: () => say({ connected: true }) },
})
const ended = task.operations.map(({ query, variables }, index) => {
  const payload = { query, variables: { ...variables } }
  return new Promise((resolve) => {
    const stop = client.subscribe(payload, {
      next: (result) => {
        payload.variables.after = cursorOf(result) ?? payload.variables.after
        say({ index, next: result })
      },
      error: (error) => resolve(say({ index, error: describe(error) })),
      complete: () => resolve(say({ index, complete: true })),
    })
    enough.then(stop)
  })
})
await Promise.all(ended)
await client.dispose()
process.exit(0)
