// #region environment
import {
  Environment,
  type FetchFunction,
  type GraphQLResponse,
  Network,
  Observable,
  RecordSource,
  Store,
  type SubscribeFunction,
} from 'relay-runtime'
import { authorization, session, trusted, url } from '../server'
import { follow } from '../sockets'

/** See Trusted documents. */
const asked = (id?: string | null, text?: string | null) =>
  trusted ? { documentId: `sha256:${id}` } : { query: text! }

const overHttp: FetchFunction = async ({ id, text }, variables) => {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { ...authorization(), 'content-type': 'application/json' },
    body: JSON.stringify({ ...asked(id, text), variables }),
  })
  const result = await answer.json() // whatever the status is
  if (answer.status === 401) delete session.token // and show the sign-in page
  return result
}

const overSocket: SubscribeFunction = ({ id, text }, variables) =>
  Observable.create<GraphQLResponse>((sink) =>
    follow({ query: '', ...asked(id, text), variables }, {
      next: (result) => sink.next(result as GraphQLResponse),
      error: (error) => sink.error(error as Error),
      complete: sink.complete,
    }),
  )

export const newEnvironment = () =>
  new Environment({
    network: Network.create(overHttp, overSocket),
    store: new Store(new RecordSource()),
  })
// #endregion
