// graphql-sse in distinct connections mode, which is its default.
import { createClient } from 'graphql-sse'
import { authorization, cursorOf, describe, enough, say, task } from './task.mjs'

const client = createClient({
  url: task.url,
  headers: authorization,
  retryAttempts: task.retries ?? 0,
  retry: () => new Promise((resolve) => setTimeout(resolve, 200)),
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
client.dispose()
process.exit(0)
