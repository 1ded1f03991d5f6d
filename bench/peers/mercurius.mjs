// Mercurius on Fastify, with its own subscriptions.
import Fastify from 'fastify'
import mercurius from 'mercurius'
import { countOf, nextEvent, typeDefs } from './event.mjs'

const app = Fastify({ serverOptions: { backlog: 4096 } })
app.register(mercurius, {
  schema: typeDefs,
  resolvers: {
    Subscription: { event: { subscribe: (_root, _args, { pubsub }) => pubsub.subscribe('EVENT') } },
  },
  subscription: true,
})
app.post('/publish', async (request) => {
  for (let left = countOf(request.url); left > 0; left--) {
    app.graphql.pubsub.publish({ topic: 'EVENT', payload: { event: nextEvent() } })
  }
  return 'published'
})
await app.listen({ port: Number(process.argv[2]), host: '127.0.0.1' })
console.log('serves')
