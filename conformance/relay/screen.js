// A screen as Relay's compiler reads it: pages, refetches, a subscription and mutations.
import { graphql } from 'relay-runtime'

graphql`
  query screenQuery($first: Int!) {
    viewer {
      __typename
      ... on Patient {
        id
        givenNames
        ...screen_holder @alias(as: "holder")
        record {
          id
          state
          ...screen_documents @arguments(first: $first)
        }
      }
    }
    ...screen_log
  }
`

// Refetched through the root.
graphql`
  fragment screen_log on Query @refetchable(queryName: "screenLogQuery") {
    journalHead {
      size
    }
  }
`

// Refetched through node, as the viewer that it is.
graphql`
  fragment screen_holder on Patient @refetchable(queryName: "screenHolderQuery") {
    notifications(first: 1) {
      totalCount
    }
  }
`

// Pages, one after the other and from the end, of a record.
graphql`
  fragment screen_documents on Record
  @argumentDefinitions(
    first: { type: "Int" }
    after: { type: "Cursor" }
    last: { type: "Int" }
    before: { type: "Cursor" }
  )
  @refetchable(queryName: "screenDocumentsQuery") {
    documents(first: $first, after: $after, last: $last, before: $before)
      @connection(key: "screen_documents") {
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

// Refetched through node, alone.
graphql`
  fragment screen_document on Document @refetchable(queryName: "screenDocumentQuery") {
    title
    category
    createdAt
  }
`

// Whatever a node is.
graphql`
  fragment screen_anything on Node @refetchable(queryName: "screenAnythingQuery") {
    __typename
    id
  }
`

graphql`
  query screenNodeQuery($id: ID!) {
    node(id: $id) {
      ...screen_anything
    }
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

graphql`
  mutation screenDeleteMutation($input: DeleteDocumentInput!, $connections: [ID!]!) {
    deleteDocument(input: $input) {
      __typename
      ... on DeleteDocumentSuccess {
        deletedDocumentId @deleteRecord @deleteEdge(connections: $connections)
      }
      ... on UserError {
        code
        message
        path
      }
    }
  }
`
