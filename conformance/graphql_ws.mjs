// graphql-transport-ws: what the protocol's text asks of a server, and the client of its author.
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { authorization, run, task } from './task.mjs'
import { deposit, equal, FOLLOW, recordId, until, VIEWER, WRONG } from './talk.mjs'

const record = await recordId()
const SUBPROTOCOL = 'graphql-transport-ws'
const INIT = { type: 'connection_init', payload: authorization }

/** A socket spoken to by hand. */
async function open(protocol = SUBPROTOCOL) {
  const socket = new WebSocket(task.socket, protocol)
  const waiting = []
  const heard = []
  const closed = new Promise((resolve) => socket.on('close', resolve))
  const take = (message) => (waiting.length ? waiting.shift()(message) : heard.push(message))
  socket.on('message', (data) => take(JSON.parse(data)))
  socket.on('error', () => {})
  closed.then((code) => take({ closed: code }))
  await new Promise((resolve, reject) => {
    socket.on('open', resolve)
    closed.then((code) => reject(new Error(`closed with ${code}`)))
  })
  return {
    socket,
    closed,
    say: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    hear: () =>
      heard.length ? heard.shift() : new Promise((resolve) => waiting.push(resolve)),
  }
}

async function acknowledged() {
  const line = await open()
  line.say(INIT)
  equal((await line.hear()).type, 'connection_ack')
  return line
}

const subscribe = (id, query, variables) => ({
  type: 'subscribe',
  id,
  payload: { query, variables },
})

/** A check that a message, sent before or after the introduction, closes with a code. */
const closes = (message, code, begin = acknowledged) => async () => {
  const line = await begin()
  for (const each of [].concat(message)) line.say(each)
  equal(await line.closed, code)
}

const made = (options = {}) =>
  createClient({
    url: task.socket,
    webSocketImpl: WebSocket,
    connectionParams: authorization,
    retryAttempts: 0,
    ...options,
  })

async function one(client, payload) {
  const results = []
  for await (const result of client.iterate(payload)) results.push(result)
  return results
}

await run({
  'the subprotocol is agreed on': async () => {
    const { socket } = await open()
    equal(socket.protocol, SUBPROTOCOL)
    socket.close()
  },
  'another subprotocol is closed with 4406 or refused': async () => {
    try {
      const line = await open('graphql-ws')
      equal(await line.closed, 4406)
    } catch (error) {
      if (!/subprotocol|closed with 1006/i.test(error.message)) throw error
    }
  },
  'connection_init is answered by connection_ack': async () => {
    ;(await acknowledged()).socket.close()
  },
  'who says nothing is closed with 4408': async () => {
    equal(await (await open()).closed, 4408)
  },
  'a second connection_init is closed with 4429': closes([INIT, INIT], 4429, open),
  'a refused token is closed with 4403': closes(
    { type: 'connection_init', payload: { Authorization: 'Bearer none' } },
    4403,
    open,
  ),
  'subscribing before connection_ack is closed with 4401': closes(
    subscribe('1', VIEWER),
    4401,
    open,
  ),
  'an unknown type is closed with 4400': closes({ type: 'nothing' }, 4400),
  'what is not JSON is closed with 4400': closes('{', 4400),
  'JSON that is no object is closed with 4400': closes('[]', 4400),
  'JSON null is closed with 4400': closes('null', 4400),
  'a message without a type is closed with 4400': closes({}, 4400),
  'a subscribe without an id is closed with 4400': closes(
    { type: 'subscribe', payload: { query: VIEWER } },
    4400,
  ),
  'a subscribe without a query is closed with 4400': closes(
    { type: 'subscribe', id: '1', payload: {} },
    4400,
  ),
  'variables that are no object are closed with 4400': closes(subscribe('1', VIEWER, []), 4400),
  'an id in use is closed with 4409': closes(
    [subscribe('1', FOLLOW, { record }), subscribe('1', VIEWER)],
    4409,
  ),
  'a ping is answered by a pong with its payload': async () => {
    const line = await acknowledged()
    line.say({ type: 'ping', payload: { a: 1 } })
    equal(await line.hear(), { type: 'pong', payload: { a: 1 } })
    line.socket.close()
  },
  'a ping is answered before connection_init': async () => {
    const line = await open()
    line.say({ type: 'ping' })
    equal((await line.hear()).type, 'pong')
    line.socket.close()
  },
  'a pong that nobody asked for is taken': async () => {
    const line = await acknowledged()
    line.say({ type: 'pong' })
    line.say({ type: 'ping' })
    equal((await line.hear()).type, 'pong')
    line.socket.close()
  },
  'a query is answered by next and complete': async () => {
    const line = await acknowledged()
    line.say(subscribe('q', VIEWER))
    const { type, id, payload } = await line.hear()
    equal([type, id, payload.data.viewer.__typename], ['next', 'q', 'Patient'])
    equal(await line.hear(), { type: 'complete', id: 'q' })
    line.socket.close()
  },
  'a document that does not validate is answered by error, and no complete': async () => {
    const line = await acknowledged()
    line.say(subscribe('w', WRONG))
    const { type, id, payload } = await line.hear()
    equal([type, id, Array.isArray(payload)], ['error', 'w', true])
    line.say({ type: 'ping' })
    equal((await line.hear()).type, 'pong')
    line.socket.close()
  },
  'an id is free again after complete': async () => {
    const line = await acknowledged()
    for (let turn = 0; turn < 2; turn++) {
      line.say(subscribe('again', VIEWER))
      equal((await line.hear()).type, 'next')
      equal((await line.hear()).type, 'complete')
    }
    line.socket.close()
  },
  'complete ends a subscription, and nothing more is told of it': async () => {
    const line = await acknowledged()
    line.say(subscribe('s', FOLLOW, { record }))
    equal((await line.hear()).type, 'next')
    line.say({ type: 'complete', id: 's' })
    await deposit(record, 'untold')
    line.say({ type: 'ping' })
    equal((await line.hear()).type, 'pong')
    line.socket.close()
  },
  'complete for what is unknown is taken': async () => {
    const line = await acknowledged()
    line.say({ type: 'complete', id: 'unknown' })
    line.say({ type: 'ping' })
    equal((await line.hear()).type, 'pong')
    line.socket.close()
  },
  'a binary message is closed with a code': async () => {
    const line = await acknowledged()
    line.socket.send(Buffer.from([0, 1, 2]))
    equal(await line.closed, 4400)
  },
  'client: a query': async () => {
    const client = made()
    const [{ data }] = await one(client, { query: VIEWER })
    equal(data.viewer.__typename, 'Patient')
    await client.dispose()
  },
  'client: a mutation': async () => {
    const client = made()
    const query = 'mutation { markNotificationsRead(input: {notificationIds: []}) { __typename } }'
    const [{ data }] = await one(client, { query })
    equal(typeof data.markNotificationsRead.__typename, 'string')
    await client.dispose()
  },
  'client: errors of a document come as GraphQL errors': async () => {
    const client = made()
    const errors = await one(client, { query: WRONG }).catch((error) => error)
    equal(errors[0].extensions.code, 'BAD_REQUEST')
    await client.dispose()
  },
  'client: a subscription tells what happens': async () => {
    const client = made({ keepAlive: 200 })
    const results = client.iterate({ query: FOLLOW, variables: { record } })
    const seen = await until(results, 'told over ws', () => deposit(record, 'told over ws'))
    equal(seen[0], 'CaughtUp')
    await client.dispose()
  },
  'client: many operations share one socket': async () => {
    let opened = 0
    const client = made({ lazy: false, on: { connected: () => opened++ } })
    const all = await Promise.all(
      Array.from({ length: 20 }, () => one(client, { query: VIEWER })),
    )
    equal([all.flat().length, opened], [20, 1])
    await client.dispose()
  },
  'client: an operation that is given up ends': async () => {
    const client = made()
    const results = client.iterate({ query: FOLLOW, variables: { record } })
    equal((await results.next()).value.data.documentEvents.__typename, 'CaughtUp')
    equal((await results.return()).done, true)
    await client.dispose()
  },
  'client: a refused token is a close with 4403': async () => {
    const client = made({ connectionParams: { Authorization: 'Bearer none' } })
    const closed = await one(client, { query: VIEWER }).catch((event) => event)
    equal(closed.code, 4403)
  },
})
