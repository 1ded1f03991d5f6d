import {
  commitMutation,
  ConnectionHandler,
  createOperationDescriptor,
  fetchQuery,
  getRequest,
  getSingularSelector,
  requestSubscription,
} from 'relay-runtime'
import { arrived, caughtUp, say, show } from '../printing'
import { credentials, session } from '../server'
import { sockets } from '../sockets'
import documentsFollow, {
  type documentsFollowSubscription,
} from './__generated__/documentsFollowSubscription.graphql'
import documentsList, { type documents_list$data } from './__generated__/documents_list.graphql'
import documentsPage, { type documentsPageQuery } from './__generated__/documentsPageQuery.graphql'
import documents, { type documentsQuery } from './__generated__/documentsQuery.graphql'
import documentsSignIn, {
  type documentsSignInMutation,
} from './__generated__/documentsSignInMutation.graphql'
import { newEnvironment } from './environment'

const FIRST = 2 // documents on a page
let environment = newEnvironment()

// #region sign-in
function signIn(input: { login: string; password: string }) {
  return new Promise<void>((resolve, reject) =>
    commitMutation<documentsSignInMutation>(environment, {
      mutation: documentsSignIn,
      variables: { input },
      onError: reject,
      onCompleted({ signIn: answer }) {
        switch (answer.__typename) {
          case 'SignInSuccess':
            session.token = answer.token
            environment = newEnvironment() // nothing of whoever was here before
            return resolve()
          case 'RateLimited':
            return reject(new Error(`Try again in ${answer.retryAfter} seconds.`))
          default:
            return reject(new Error(answer.message))
        }
      },
    }),
  )
}
// #endregion

// #region follow
function followDocuments(record: string) {
  const connections = [ConnectionHandler.getConnectionID(record, 'list_documents')]
  return requestSubscription<documentsFollowSubscription>(environment, {
    subscription: documentsFollow,
    variables: { record, connections },
    onNext(data) {
      const event = data?.documentEvents
      if (event?.__typename === 'CaughtUp') caughtUp() // from here on the list may be read
      if (event?.__typename === 'DocumentDeposited') arrived(event.document.title)
      if (event?.__typename === 'DocumentReplaced') void page(record) // from the first page on
    },
    onError: (error) => say(codeOf(error)), // ACCESS_ENDED, CURSOR_EXPIRED… and it is over
  })
}

function codeOf(error: unknown) {
  const errors = Array.isArray(error) ? error : (error as any).source?.errors
  return String(errors?.[0]?.extensions?.code ?? 'NETWORK')
}
// #endregion

try {
  await signIn({ ...credentials, password: 'guessed' })
} catch (error) {
  say((error as Error).message)
}
await signIn(credentials)

// #region screen
const operation = createOperationDescriptor(getRequest(documents), { first: FIRST })
const kept = environment.retain(operation)
const read = () => fetchQuery<documentsQuery>(environment, documents, { first: FIRST }).toPromise()
const page = (id: string, after?: string | null) =>
  fetchQuery<documentsPageQuery>(environment, documentsPage, { id, first: FIRST, after }).toPromise()

const me = await read()
if (me?.viewer?.__typename !== 'Patient' || !me.viewer.record) throw new Error('no record')
const { record } = me.viewer

const following = followDocuments(record.id)
await caughtUp.happened
await page(record.id) // anew: something may have happened before

const list = environment.lookup(getSingularSelector(documentsList, record)!)
const draw = ({ data }: { data: unknown }) =>
  show((data as documents_list$data).documents.edges.map((edge) => edge.node.title))
const drawing = environment.subscribe(list, draw)
draw(list)
const { hasNextPage, endCursor } = (list.data as unknown as documents_list$data).documents.pageInfo
if (hasNextPage) await page(record.id, endCursor)
// #endregion

await arrived.andShown
drawing.dispose()
following.dispose()
kept.dispose()
await sockets.dispose()
