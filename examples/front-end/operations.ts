// #region operations
import { graphql } from './generated'

export const SIGN_IN = graphql(`
  mutation SignIn($input: SignInInput!) {
    signIn(input: $input) {
      __typename
      ... on SignInSuccess { token expiresAt }
      ... on RateLimited { retryAfter }
      ... on UserError { code message }
    }
  }
`)

export const ME = graphql(`
  query Me {
    viewer {
      ... on Patient { id givenNames record { id } }
    }
  }
`)

export const DOCUMENTS = graphql(`
  query Documents($record: ID!, $first: Int!, $after: Cursor) {
    record(id: $record) {
      id
      documents(first: $first, after: $after) {
        edges { node { ...DocumentLine } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`)

export const FOLLOW = graphql(`
  subscription Follow($record: ID!, $after: Cursor) {
    documentEvents(record: $record, after: $after) {
      __typename
      ... on CaughtUp { cursor }
      ... on DocumentDeposited { cursor document { ...DocumentLine } }
      ... on DocumentReplaced { cursor document { ...DocumentLine } }
      ... on DocumentChanged { cursor document { ...DocumentLine } }
      ... on DocumentRemoved { cursor documentId }
    }
  }
`)

export const LINE = graphql(`
  fragment DocumentLine on Document {
    id
    title
    category
    depositedAt
  }
`)
// #endregion

export const ADD = graphql(`
  mutation AddDocument($input: AddDocumentInput!) {
    addDocument(input: $input) {
      __typename
      ... on AddDocumentSuccess { document { id } }
      ... on AccessDenied { rule }
      ... on UserError { code message path }
    }
  }
`)
