// GraphQL Yoga with graphql-ws, put together as Yoga's documentation does.
import { createServer } from 'node:http'
import { createPubSub, createSchema, createYoga } from 'graphql-yoga'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import { countOf, nextEvent, typeDefs } from './event.mjs'

const events = createPubSub()
const yoga = createYoga({
  logging: false,
  schema: createSchema({
    typeDefs,
    resolvers: {
      Subscription: { event: { subscribe: () => events.subscribe('event'), resolve: (one) => one } },
    },
  }),
})
const server = createServer((request, response) => {
  if (!request.url.startsWith('/publish')) return yoga(request, response)
  for (let left = countOf(request.url); left > 0; left--) events.publish('event', nextEvent())
  response.end('published')
})
useServer(
  {
    execute: (args) => args.rootValue.execute(args),
    subscribe: (args) => args.rootValue.subscribe(args),
    onSubscribe: async (context, _id, params) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context,
        req: context.extra.request,
        socket: context.extra.socket,
        params,
      })
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      }
      const errors = validate(args.schema, args.document)
      return errors.length ? errors : args
    },
  },
  new WebSocketServer({ server, path: '/graphql' }),
)
server.listen(Number(process.argv[2]), '127.0.0.1', 4096, () => console.log('serves'))
