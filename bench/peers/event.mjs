// One event as large as Carnet's, and a way to publish many: POST /publish?count=N.
export const typeDefs = `
  type Document { id: ID! title: String! }
  type Event { cursor: String! document: Document! }
  type Query { none: Boolean }
  type Subscription { event: Event! }
`

let number = 0

export function nextEvent() {
  number += 1
  return {
    cursor: String(number).padStart(43, 'x'),
    document: { id: String(number).padStart(38, 'd'), title: `Compte rendu ${number}` },
  }
}

export const countOf = (url) => Number(new URL(url, 'http://peer').searchParams.get('count'))
