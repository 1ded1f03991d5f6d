// #region sockets
import { type Client, createClient } from 'graphql-ws'
import { authorization, socketUrl } from './server'

export const sockets = createClient({
  url: socketUrl,
  connectionParams: authorization,
  retryAttempts: Infinity,
  shouldRetry: (event) => (event as CloseEvent).code !== 4403, // the token opens nothing
  jsonMessageReplacer: (key, value) => (key === 'query' && value === '' ? undefined : value),
})

/** Subscribes; after a cut it goes on behind the last event that came. */
export const follow: Client['subscribe'] = (payload, sink) => {
  const variables = { ...payload.variables }
  const query = payload.extensions?.persistedQuery ? '' : payload.query // its name suffices
  return sockets.subscribe<any, any>(
    { ...payload, query, variables },
    {
      error: (error) => sink.error(error),
      complete: () => sink.complete(),
      next(result) {
        for (const event of Object.values<any>(result.data ?? {}))
          variables.after = event?.cursor ?? variables.after
        sink.next(result)
      },
    },
  )
}
// #endregion
