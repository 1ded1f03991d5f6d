// #region client
import {
  ApolloClient,
  ApolloLink,
  CombinedGraphQLErrors,
  HttpLink,
  InMemoryCache,
  ServerError,
} from '@apollo/client'
import { SetContextLink } from '@apollo/client/link/context'
import { ErrorLink } from '@apollo/client/link/error'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { relayStylePagination } from '@apollo/client/utilities'
import { OperationTypeNode } from 'graphql'
import possibleTypes from '../generated/possibleTypes'
import { authorization, session, trusted, url } from '../server'
import { follow, sockets } from '../sockets'
import { byName } from './trusted'

const overHttp = ApolloLink.from([
  new SetContextLink(({ headers }) => ({ headers: { ...headers, ...authorization() } })),
  new HttpLink({ uri: url }),
])
const overSocket = new GraphQLWsLink({ ...sockets, subscribe: follow })

const whenSessionEnds = new ErrorLink(({ error }) => {
  const isOver = CombinedGraphQLErrors.is(error)
    ? error.errors.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')
    : ServerError.is(error) && error.statusCode === 401
  if (isOver) delete session.token // and show the sign-in page
})

export const client = new ApolloClient({
  link: ApolloLink.from([
    whenSessionEnds,
    ...(trusted ? [byName] : []), // see Trusted documents
    ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      overSocket,
      overHttp,
    ),
  ]),
  cache: new InMemoryCache({
    ...possibleTypes, // so that `... on UserError` finds AccessDenied and all others
    typePolicies: {
      Record: { fields: { documents: relayStylePagination(['filter', 'order']) } },
    },
  }),
})
// #endregion
