// The audits of GraphQL over HTTP: MUST, SHOULD and MAY of the specification.
import { serverAudits } from 'graphql-http'
import { authorization, say, task } from './task.mjs'

const fetchFn = (url, init = {}) =>
  fetch(url, { ...init, headers: { ...authorization, ...init.headers } })
const results = []
for (const audit of serverAudits({ url: task.url, fetchFn })) {
  const { status, reason } = await audit.fn()
  results.push({ name: `${audit.id} ${audit.name}`, passed: status === 'ok', status, reason })
}
say({ results })
process.exit(0)
