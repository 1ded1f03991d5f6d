// Relay's runtime on what its compiler made of relay/screen.js: only persisted documents are sent.
import { createClient } from 'graphql-ws'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import relay from 'relay-runtime'
import WebSocket from 'ws'
import { authorization, run, task } from './task.mjs'
import { deposit, equal, recordId } from './talk.mjs'

const { commitMutation, Environment, fetchQuery, Network, Observable, RecordSource } = relay
const { requestSubscription, Store, ConnectionHandler } = relay
const here = createRequire(import.meta.url)
const made = (name) => here(`./relay/__generated__/${name}.graphql.js`)
const trusted = JSON.parse(readFileSync(new URL('relay/__generated__/trusted.json', import.meta.url)))
const sockets = createClient({
  url: task.socket,
  webSocketImpl: WebSocket,
  connectionParams: authorization,
  retryAttempts: 0,
})

async function ask({ id, name, text }, variables) {
  if (text !== null) throw new Error(`${name} is not persisted`)
  const answer = await fetch(task.url, {
    method: 'POST',
    headers: {
      ...authorization,
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
    },
    body: JSON.stringify({ query: trusted[id], variables }),
  })
  return answer.json()
}

const follow = ({ id }, variables) =>
  Observable.create((sink) => sockets.subscribe({ query: trusted[id], variables }, sink))

const environment = () =>
  new Environment({
    network: Network.create(ask, follow),
    store: new Store(new RecordSource()),
  })
const get = (on, name, variables) => fetchQuery(on, made(name), variables).toPromise()
const change = (on, name, variables) =>
  new Promise((resolve, reject) =>
    commitMutation(on, {
      mutation: made(name),
      variables,
      onCompleted: (data, errors) => (errors ? reject(new Error(errors[0].message)) : resolve(data)),
      onError: reject,
    }),
  )

const record = await recordId()
const connectionId = ConnectionHandler.getConnectionID(record, 'screen_documents', {})
const kept = (on, id) => on.getStore().getSource().get(id)
const shown = (on) =>
  (kept(on, connectionId)?.edges?.__refs ?? []).map((edge) => kept(on, kept(on, edge).node.__ref))

/** Stores some bytes, to add them as a document. */
async function blob(text) {
  const stored = await fetch(new URL('/blobs', task.url), {
    method: 'POST',
    headers: { ...authorization, 'content-type': 'text/plain' },
    body: text,
  })
  return (await stored.json()).id
}

for (const title of ['one', 'two', 'three']) await deposit(record, title)

await run({
  'a screen is fetched': async () => {
    const data = await get(environment(), 'screenQuery', { first: 2 })
    equal([data.viewer.__typename, data.viewer.record.id], ['Patient', record])
  },
  'the next page is put after the first in the connection': async () => {
    const on = environment()
    await get(on, 'screenQuery', { first: 2 })
    const first = shown(on).map(({ id }) => id)
    const after = kept(on, kept(on, connectionId).pageInfo.__ref).endCursor
    await get(on, 'screenDocumentsQuery', { id: record, first: 1, after })
    const both = shown(on).map(({ id }) => id)
    equal([first.length, both.length, new Set(both).size], [2, 3, 3])
    equal(both.slice(0, 2), first)
  },
  'the previous page is put before the last in the connection': async () => {
    const on = environment()
    await get(on, 'screenDocumentsQuery', { id: record, last: 1 })
    const last = shown(on).map(({ id }) => id)
    const before = kept(on, kept(on, connectionId).pageInfo.__ref).startCursor
    await get(on, 'screenDocumentsQuery', { id: record, last: 1, before })
    const both = shown(on).map(({ id }) => id)
    equal([last.length, both.length, both[1]], [1, 2, last[0]])
  },
  'a node is fetched again by its id': async () => {
    const on = environment()
    await get(on, 'screenQuery', { first: 1 })
    const [{ id }] = shown(on)
    await get(on, 'screenDocumentQuery', { id })
    equal(typeof kept(on, id).title, 'string')
  },
  'any node is fetched again by its id': async () => {
    const on = environment()
    await get(on, 'screenAnythingQuery', { id: record })
    await get(on, 'screenNodeQuery', { id: record })
    equal(kept(on, record).__typename, 'Record')
  },
  'the viewer is fetched again by their id': async () => {
    const on = environment()
    const { viewer } = await get(on, 'screenQuery', { first: 1 })
    await get(on, 'screenHolderQuery', { id: viewer.id })
    equal(kept(on, viewer.id).__typename, 'Patient')
  },
  'a fragment on the root is fetched again': async () => {
    await get(environment(), 'screenLogQuery', {})
  },
  'a mutation puts its node at the head of the connection, and another takes it out': async () => {
    const on = environment()
    await get(on, 'screenQuery', { first: 2 })
    const before = shown(on).length
    const description = { title: 'added by Relay', category: 'PERSONAL' }
    const input = { recordId: record, blobId: await blob('added by Relay'), description }
    const connections = [connectionId]
    const { addDocument } = await change(on, 'screenAddMutation', { input, connections })
    const [head] = shown(on)
    equal([shown(on).length, head.title], [before + 1, 'added by Relay'])
    equal(addDocument.__typename, 'AddDocumentSuccess')
    const gone = { documentId: head.id }
    await change(on, 'screenDeleteMutation', { input: gone, connections })
    equal(shown(on).filter((node) => node?.id === head.id), [])
  },
  'a subscription puts what happens into the store': async () => {
    const on = environment()
    const title = 'told to Relay'
    const { disposable, found } = await new Promise((resolve, reject) => {
      const disposable = requestSubscription(on, {
        subscription: made('screenSubscription'),
        variables: { record },
        onNext: ({ documentEvents: event }) => {
          if (event.__typename === 'CaughtUp') deposit(record, title).catch(reject)
          if (event.document && kept(on, event.document.id)?.title === title) {
            resolve({ disposable, found: event.document.id })
          }
        },
        onError: reject,
      })
    })
    disposable.dispose()
    equal(kept(on, found).title, title)
  },
})
