// What several clients ask, and how something is made to happen while they follow.
import { authorization, task } from './task.mjs'

export const VIEWER = 'query Viewer { viewer { __typename ... on Patient { record { id } } } }'
export const WRONG = 'query Wrong { nothing }'
export const FOLLOW = `subscription Follow($record: ID!, $after: Cursor) {
  documentEvents(record: $record, after: $after) {
    __typename
    ... on CaughtUp { cursor }
    ... on DocumentDeposited { cursor document { id title } }
  }
}`
export const PAGE = `query Page($record: ID!, $first: Int!, $after: Cursor) {
  record(id: $record) {
    id
    documents(first: $first, after: $after) {
      edges { cursor node { id title } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`
const ADD = `mutation Add($input: AddDocumentInput!) {
  addDocument(input: $input) { __typename ... on AddDocumentSuccess { document { id } } }
}`

export async function ask(query, variables) {
  const answer = await fetch(task.url, {
    method: 'POST',
    headers: { ...authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = await answer.json()
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}

export async function recordId() {
  return (await ask(VIEWER)).viewer.record.id
}

/** Puts a document into the record, as the viewer. */
export async function deposit(record, title) {
  const stored = await fetch(new URL('/blobs', task.url), {
    method: 'POST',
    headers: { ...authorization, 'content-type': 'text/plain' },
    body: `${title} ${Math.random()}`,
  })
  const { id } = await stored.json()
  const input = { recordId: record, blobId: id, description: { title, category: 'PERSONAL' } }
  const { addDocument } = await ask(ADD, { input })
  if (addDocument.__typename !== 'AddDocumentSuccess') throw new Error(addDocument.__typename)
}

/** Follows a stream of results until it has told of the title; returns the type names. */
export async function until(results, title, act) {
  const seen = []
  for await (const result of results) {
    if (result.errors ?? result.error) throw new Error(JSON.stringify(result.errors ?? result.error))
    const event = result.data.documentEvents
    seen.push(event.__typename)
    if (event.__typename === 'CaughtUp') await act()
    if (event.document?.title === title) return seen
  }
  throw new Error(`it ended after ${seen}`)
}

export function equal(found, expected) {
  if (JSON.stringify(found) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(found)}, not ${JSON.stringify(expected)}`)
  }
}
