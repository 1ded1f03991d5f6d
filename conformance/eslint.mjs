// graphql-eslint's rules for schemas, on the file that is checked in. Two of them are told what they
// cannot know: which objects can be fetched again (those that are nodes have an id; a payload, an
// edge or a measured value has none), and that a list may hold something else than edges.
import { configs, parser, rules } from '@graphql-eslint/eslint-plugin'
import { Linter } from 'eslint'
import { buildSchema, isObjectType } from 'graphql'
import { readFileSync } from 'node:fs'
import { say, task } from './task.mjs'

const text = readFileSync(task.schema, 'utf8')
const isNode = (type) => type.getInterfaces().some(({ name }) => name === 'Node')
const values = Object.values(buildSchema(text).getTypeMap())
  .filter((type) => isObjectType(type) && !isNode(type))
  .map(({ name }) => name)
const told = {
  '@graphql-eslint/strict-id-in-types': ['error', { exceptions: { types: values } }],
  '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false }],
}
const results = ['schema-recommended', 'schema-relay'].map((name) => {
  const config = {
    files: ['**/*.graphql'],
    plugins: { '@graphql-eslint': { rules } },
    languageOptions: { parser, parserOptions: { graphQLConfig: { schema: text } } },
    rules: Object.fromEntries(
      Object.entries(configs[name].rules).map(([rule, level]) => [rule, told[rule] ?? level]),
    ),
  }
  const found = new Linter().verify(text, config, { filename: 'schema.graphql' })
  const messages = found.map(({ ruleId, line, message }) => `line ${line}, ${ruleId}: ${message}`)
  return { name, passed: messages.length === 0, reason: messages.slice(0, 20).join('; ') }
})
say({ results })
