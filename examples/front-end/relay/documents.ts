// #region documents
import { graphql } from 'relay-runtime'

graphql`
  mutation documentsSignInMutation($input: SignInInput!) {
    signIn(input: $input) {
      __typename
      ... on SignInSuccess { token expiresAt }
      ... on RateLimited { retryAfter }
      ... on UserError { code message }
    }
  }
`

graphql`
  query documentsQuery($first: Int!) {
    viewer {
      __typename
      ... on Patient {
        record {
          id
          ...documents_list @arguments(first: $first)
        }
      }
    }
  }
`

graphql`
  fragment documents_list on Record
  @argumentDefinitions(first: { type: "Int!" }, after: { type: "Cursor" })
  @refetchable(queryName: "documentsPageQuery") {
    documents(first: $first, after: $after) @connection(key: "list_documents") {
      __id
      edges { node { id title category depositedAt } }
      pageInfo { hasNextPage endCursor }
    }
  }
`

graphql`
  subscription documentsFollowSubscription(
    $record: ID!, $after: Cursor, $connections: [ID!]!
  ) {
    documentEvents(record: $record, after: $after) {
      __typename
      ... on CaughtUp { cursor }
      ... on DocumentDeposited {
        cursor
        document @prependNode(connections: $connections, edgeTypeName: "DocumentEdge") {
          id title category depositedAt
        }
      }
      ... on DocumentReplaced { cursor document { id } }
      ... on DocumentChanged { cursor document { id title category } }
      ... on DocumentRemoved { cursor documentId @deleteRecord }
    }
  }
`
// #endregion
