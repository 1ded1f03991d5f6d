import { CombinedGraphQLErrors } from '@apollo/client'
import { withDocument } from '../list'
import { DOCUMENTS, FOLLOW, ME, SIGN_IN } from '../operations'
import { arrived, caughtUp, say, show } from '../printing'
import { credentials, session } from '../server'
import { client } from './client'

const FIRST = 2 // documents on a page

// #region sign-in
async function signIn(input: { login: string; password: string }) {
  const { data } = await client.mutate({ mutation: SIGN_IN, variables: { input } })
  const answer = data!.signIn
  switch (answer.__typename) {
    case 'SignInSuccess':
      session.token = answer.token
      await client.clearStore() // nothing of whoever was here before
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
  return client.subscribe({ query: FOLLOW, variables: { record } }).subscribe({
    next({ data, error }) {
      const event = data?.documentEvents
      switch (event?.__typename) {
        case 'CaughtUp': // from here on the list may be read: nothing is missed
          return caughtUp()
        case 'DocumentDeposited':
          client.cache.updateQuery({ query: DOCUMENTS, variables: { record, first: FIRST } }, (kept) =>
            withDocument(kept, event.document),
          )
          return arrived(event.document.title)
        case 'DocumentReplaced': // its place is another one: from the first page on
          return void client.refetchQueries({ include: [DOCUMENTS] })
        case 'DocumentRemoved':
          client.cache.evict({ id: `Document:${event.documentId}` })
          client.cache.gc()
      } // DocumentChanged: the cache has the new fields already
      if (error) say(codeOf(error)) // ACCESS_ENDED, CURSOR_EXPIRED… and it is over
    },
  })
}

function codeOf(error: unknown) {
  return String((CombinedGraphQLErrors.is(error) && error.errors[0].extensions?.code) || 'NETWORK')
}
// #endregion

try {
  await signIn({ ...credentials, password: 'guessed' })
} catch (error) {
  say((error as Error).message)
}
await signIn(credentials)

// #region screen
const { data: me } = await client.query({ query: ME })
if (me?.viewer?.__typename !== 'Patient' || !me.viewer.record) throw new Error('no record')
const record = me.viewer.record.id

const following = followDocuments(record)
await caughtUp.happened

const variables = { record, first: FIRST }
const { data } = await client.query({ query: DOCUMENTS, variables })
const list = client.watchQuery({ query: DOCUMENTS, variables })
const drawing = list.subscribe(({ data }) => {
  if (data?.record?.documents?.edges) show(data.record.documents.edges.map((edge) => edge!.node!.title!))
})
const { hasNextPage, endCursor } = data!.record!.documents.pageInfo
if (hasNextPage) await list.fetchMore({ variables: { after: endCursor } })
// #endregion

await arrived.andShown
drawing.unsubscribe()
following.unsubscribe()
client.stop()
