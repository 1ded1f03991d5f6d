// GraphQL over server-sent events, distinct connections mode: its text, and its author's client.
import { createClient } from 'graphql-sse'
import { authorization, run, task } from './task.mjs'
import { deposit, equal, FOLLOW, recordId, until, VIEWER, WRONG } from './talk.mjs'

const record = await recordId()
const made = (options = {}) =>
  createClient({ url: task.url, headers: authorization, retryAttempts: 0, ...options })

const post = (body, headers = {}) =>
  fetch(task.url, {
    method: 'POST',
    headers: {
      ...authorization,
      'content-type': 'application/json',
      accept: 'text/event-stream',
      ...headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })

async function one(client, payload) {
  const results = []
  for await (const result of client.iterate(payload)) results.push(result)
  return results
}

await run({
  'an operation is answered by a stream of next and complete': async () => {
    const answer = await post({ query: VIEWER })
    equal([answer.status, answer.headers.get('content-type').split(';')[0]], [200, 'text/event-stream'])
    const text = await answer.text()
    if (!/^event: next\ndata: \{.*\}\n\n/m.test(text)) throw new Error(text)
    if (!/^event: complete\ndata:\s?\n\n/m.test(text)) throw new Error(text)
    if (text.includes('\r')) throw new Error('lines do not end in LF alone')
  },
  'a document that does not validate is a next with errors, then complete, or a 400': async () => {
    const answer = await post({ query: WRONG })
    const text = await answer.text()
    if (answer.status !== 400) {
      equal(answer.status, 200)
      if (!/"errors"/.test(text) || !/^event: complete/m.test(text)) throw new Error(text)
    }
  },
  'a body that is no request is a 400': async () => {
    for (const body of ['', 'null', '[]', '{', '{"query": 1}']) {
      equal((await post(body)).status, 400)
    }
  },
  'another content type is a 415': async () => {
    equal((await post({ query: VIEWER }, { 'content-type': 'text/plain' })).status, 415)
  },
  'a token that opens nothing is a 401': async () => {
    equal((await post({ query: VIEWER }, { Authorization: 'Bearer none' })).status, 401)
  },
  'JSON is answered where JSON is preferred': async () => {
    const accept = 'application/graphql-response+json, application/json, text/event-stream'
    const answer = await post({ query: VIEWER }, { accept })
    equal(answer.headers.get('content-type').split(';')[0], 'application/graphql-response+json')
  },
  'client: a query': async () => {
    const client = made()
    const [{ data }] = await one(client, { query: VIEWER })
    equal(data.viewer.__typename, 'Patient')
    client.dispose()
  },
  'client: a mutation': async () => {
    const client = made()
    const query = 'mutation { markNotificationsRead(input: {notificationIds: []}) { __typename } }'
    const [{ data }] = await one(client, { query })
    equal(typeof data.markNotificationsRead.__typename, 'string')
    client.dispose()
  },
  'client: errors of a document come as GraphQL errors': async () => {
    const client = made()
    const [{ errors }] = await one(client, { query: WRONG })
    equal(errors[0].extensions.code, 'BAD_REQUEST')
    client.dispose()
  },
  'client: a subscription tells what happens': async () => {
    const client = made()
    const results = client.iterate({ query: FOLLOW, variables: { record } })
    const seen = await until(results, 'told over sse', () => deposit(record, 'told over sse'))
    equal(seen[0], 'CaughtUp')
    client.dispose()
  },
  'client: an operation that is given up ends': async () => {
    const client = made()
    const results = client.iterate({ query: FOLLOW, variables: { record } })
    equal((await results.next()).value.data.documentEvents.__typename, 'CaughtUp')
    equal((await results.return()).done, true)
    client.dispose()
  },
  'client: a refused token is an error': async () => {
    const client = made({ headers: { Authorization: 'Bearer none' } })
    const error = await one(client, { query: VIEWER }).catch((error) => error)
    equal(error.response.status, 401)
    client.dispose()
  },
})
