// graphql-eslint's rules for schemas, both sets as they are, on the file that is checked in.
//
// Two rules are told what they cannot know, and only that:
//
// strict-id-in-types asks every object for an id, «unless it has no logical one», and takes their
// names. Events have an eventId. Beyond connections, edges and payloads, VALUES are the objects that
// are only ever part of another. That none of them is a node, and all of them exist, is checked.
//
// relay-edge-types would let a list hold nothing but edges: no given names, and not Relay's own
// nodes(ids:). The rest of the rule is on; and instead of this part, every list of nodes that is no
// connection has to be in BOUNDED, with what keeps it short.
import { configs, parser, rules } from '@graphql-eslint/eslint-plugin'
import { Linter } from 'eslint'
import { buildSchema, getNamedType, getNullableType, isListType, isObjectType } from 'graphql'
import { readFileSync } from 'node:fs'
import { say, task } from './task.mjs'

const VALUES = `
  AccessExplanation AccessRule AccessSettings CaughtUp Coding Disease DocumentAuthor DocumentContent
  DocumentPermissions EpochWrap Identifier ImmunizationSource InclusionProof IntakeCount IntakeItem
  JournalHead KeyDirectory Lifecycle MessageAttachment MessagingBinding NewSession NothingToDeclare
  JournalEntryAdded NotificationChannelStatus NotificationEmail NotificationKindPreference NotificationPreferences
  OrganizationShare PageInfo PairingMessage PendingNotificationEmail Prevention PreventionChange
  PreventionItem PreventionReason PreventionShape PreventionTerm PreventionVerdict ProfessionalShare
  Profile RecordAccess SetAside SkippedEntries ThreadMember VaccinationCertificate
  CategoryCount Count DocumentMonth MonthCount RecordCounts RecordStateCount Statistics
`
  .trim()
  .split(/\s+/)

const BOUNDED = {
  'JournalEntry.documents': 'what one access was about',
  'JournalEntryAdded.released': 'at most 100',
  'MarkNotificationsReadSuccess.notifications': 'as many as were marked, at most 100',
  'NotificationPreferences.devices': 'at most 10',
  'Patient.messagingAccounts': 'at most 200',
  'Prevention.acts': 'at most 500',
  'Prevention.facts': 'at most 500',
  'Prevention.feeds': 'at most 10',
  'Prevention.pregnancies': 'at most 500',
  'Professional.messagingAccounts': 'at most 200',
  'Query.messagingAccounts': 'as many as were asked for, at most 100',
  'Query.nodes': 'as many as were asked for, at most 100',
  'StaleControlHead.entries': 'at most 50',
}

const text = readFileSync(task.schema, 'utf8')
const schema = buildSchema(text)
const objects = Object.values(schema.getTypeMap()).filter(isObjectType)
const has = (type, name) => type.getInterfaces().some((each) => each.name === name)
const mistakes = objects.filter((type) => has(type, 'UserError')).map(({ name }) => name)
const told = {
  '@graphql-eslint/strict-id-in-types': [
    'error',
    {
      acceptedIdNames: ['id', 'eventId'],
      exceptions: {
        types: [...VALUES, ...mistakes],
        suffixes: ['Connection', 'Edge', 'Success'],
      },
    },
  ],
  '@graphql-eslint/relay-edge-types': ['error', { listTypeCanWrapOnlyEdgeType: false }],
}
const results = ['schema-recommended', 'schema-relay'].flatMap((name) => {
  const levels = Object.entries(configs[name].rules)
  const config = {
    files: ['**/*.graphql'],
    plugins: { '@graphql-eslint': { rules } },
    languageOptions: { parser, parserOptions: { graphQLConfig: { schema: text } } },
    rules: Object.fromEntries(levels.map(([rule, level]) => [rule, told[rule] ?? level])),
  }
  const found = new Linter().verify(text, config, { filename: 'schema.graphql' })
  const broken = found.filter(({ fatal }) => fatal)
  return levels.map(([rule]) => {
    const lines = [...broken, ...found.filter(({ ruleId }) => ruleId === rule)]
    const reason = lines.map(({ line, message }) => `line ${line}: ${message}`).join('; ')
    const short = rule.replace('@graphql-eslint/', '')
    return { name: `${name} ${short}`, passed: lines.length === 0, reason }
  })
})

const isNode = (type) => type.name === 'Node' || (isObjectType(type) && has(type, 'Node'))
const lists = objects
  .filter(({ name }) => !name.endsWith('Connection'))
  .flatMap((type) => Object.values(type.getFields()).map((field) => [type, field]))
  .filter(([, { type }]) => isListType(getNullableType(type)) && isNode(getNamedType(type)))
  .map(([type, field]) => `${type.name}.${field.name}`)
const stale = Object.keys(BOUNDED).filter((name) => !lists.includes(name))
const unbounded = lists.filter((name) => !(name in BOUNDED))
const wrong = VALUES.filter((name) => {
  const type = schema.getType(name)
  return !isObjectType(type) || has(type, 'Node')
})
results.push(
  {
    name: 'no object that is told to have no id is a node',
    passed: wrong.length === 0,
    reason: wrong.join(', '),
  },
  {
    name: 'a list of nodes that is no connection is bounded',
    passed: unbounded.length + stale.length === 0,
    reason: [...unbounded, ...stale.map((name) => `${name} is none`)].join(', '),
  },
)
say({ results })
