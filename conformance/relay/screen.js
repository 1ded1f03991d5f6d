// A paginated, refetched and subscribed screen, as Relay's compiler reads it.
import { graphql } from 'relay-runtime'

graphql`
  query screenQuery($first: Int!) {
    viewer {
      __typename
      ... on Patient {
        id
        givenNames
        record {
          id
          state
          ...screen_documents @arguments(first: $first)
        }
      }
    }
  }
`

graphql`
  fragment screen_documents on Record
  @argumentDefinitions(first: { type: "Int", defaultValue: 10 }, after: { type: "Cursor" })
  @refetchable(queryName: "screenDocumentsQuery") {
    documents(first: $first, after: $after) @connection(key: "screen_documents") {
      totalCount
      edges {
        node {
          id
          ...screen_document
        }
      }
    }
  }
`

graphql`
  fragment screen_document on Document @refetchable(queryName: "screenDocumentQuery") {
    title
    category
    createdAt
  }
`

graphql`
  subscription screenSubscription($record: ID!, $after: Cursor) {
    documentEvents(record: $record, after: $after) {
      __typename
      ... on CaughtUp {
        cursor
      }
      ... on DocumentDeposited {
        cursor
        document {
          id
          ...screen_document
        }
      }
      ... on DocumentRemoved {
        cursor
        documentId @deleteRecord
      }
    }
  }
`

graphql`
  mutation screenAddMutation($input: AddDocumentInput!, $connections: [ID!]!) {
    addDocument(input: $input) {
      __typename
      ... on AddDocumentSuccess {
        document @prependNode(connections: $connections, edgeTypeName: "DocumentEdge") {
          id
          ...screen_document
        }
      }
      ... on UserError {
        code
        message
        path
      }
    }
  }
`
