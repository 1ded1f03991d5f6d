// Puts a document into the record, as another device of the same person would: npm run add "A letter"
import { print } from 'graphql'
import type { TypedDocumentNode } from '@graphql-typed-document-node/core'
import { ADD, ME, SIGN_IN } from './operations'
import { authorization, blobsUrl, credentials, session, url } from './server'

async function ask<D, V>(document: TypedDocumentNode<D, V>, variables: V): Promise<D> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { ...authorization(), 'content-type': 'application/json' },
    body: JSON.stringify({ query: print(document), variables }),
  })
  const { data, errors } = await answer.json()
  if (errors) throw new Error(errors[0].message)
  return data
}

const title = process.argv[2] ?? 'A letter'
const { signIn } = await ask(SIGN_IN, { input: credentials })
if (signIn.__typename !== 'SignInSuccess') throw new Error(signIn.message)
session.token = signIn.token
const { viewer } = await ask(ME, {})
if (viewer?.__typename !== 'Patient' || !viewer.record) throw new Error('no record')

// #region upload
const stored = await fetch(blobsUrl, {
  method: 'POST',
  headers: { ...authorization(), 'content-type': 'text/plain' },
  body: `${title}, written ${new Date().toISOString()}`,
})
const { id: blobId } = await stored.json()
const { addDocument } = await ask(ADD, {
  input: {
    recordId: viewer.record.id,
    blobId,
    description: { title, category: 'PERSONAL' },
    idempotencyKey: crypto.randomUUID(), // the same one for every retry of this action
  },
})
if (addDocument.__typename !== 'AddDocumentSuccess') throw new Error(addDocument.message)
// #endregion
