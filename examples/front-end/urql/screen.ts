import type { CombinedError } from '@urql/core'
import { pipe, subscribe } from 'wonka'
import { DOCUMENTS, FOLLOW, ME, SIGN_IN } from '../operations'
import { arrived, caughtUp, say, show } from '../printing'
import { credentials, session } from '../server'
import { sockets } from '../sockets'
import { FIRST, newClient } from './client'

let client = newClient()

// #region sign-in
async function signIn(input: { login: string; password: string }) {
  const { data, error } = await client.mutation(SIGN_IN, { input })
  if (error) throw error
  const answer = data!.signIn
  switch (answer.__typename) {
    case 'SignInSuccess':
      session.token = answer.token
      client = newClient() // nothing of whoever was here before
      return
    case 'RateLimited':
      throw new Error(`Try again in ${answer.retryAfter} seconds.`)
    default:
      throw new Error(answer.message)
  }
}
// #endregion

// #region follow
function followDocuments(record: string) {
  return pipe(
    client.subscription(FOLLOW, { record }),
    subscribe(({ data, error }) => {
      const event = data?.documentEvents
      if (event?.__typename === 'CaughtUp') caughtUp() // from here on the list may be read
      if (event?.__typename === 'DocumentDeposited') arrived(event.document.title)
      if (event?.__typename === 'DocumentReplaced') reload() // its place is another one
      if (error) say(codeOf(error)) // ACCESS_ENDED, CURSOR_EXPIRED… and it is over
    }),
  )
}

const codeOf = ({ graphQLErrors }: CombinedError) =>
  String(graphQLErrors[0]?.extensions.code ?? 'NETWORK')
// #endregion

try {
  await signIn({ ...credentials, password: 'guessed' })
} catch (error) {
  say((error as Error).message)
}
await signIn(credentials)

// #region screen
const { data: me } = await client.query(ME, {})
if (me?.viewer?.__typename !== 'Patient' || !me.viewer.record) throw new Error('no record')
const record = me.viewer.record.id

const following = followDocuments(record)
await caughtUp.happened

/** Draws a page and, through relayPagination, all others that the cache has. */
const page = (after?: string | null) =>
  pipe(
    client.query(DOCUMENTS, { record, first: FIRST, after }),
    subscribe(({ data }) => {
      if (data?.record) show(data.record.documents.edges.map((edge) => edge.node.title))
    }),
  )
const pages = [page()]
function reload() {
  for (const { unsubscribe } of pages.splice(0)) unsubscribe()
  pages.push(page())
}

const { data } = await client.query(DOCUMENTS, { record, first: FIRST })
const { hasNextPage, endCursor } = data!.record!.documents.pageInfo
if (hasNextPage) pages.push(page(endCursor))
// #endregion

await arrived.andShown
for (const { unsubscribe } of [...pages, following]) unsubscribe()
await sockets.dispose()
