import { addTypenameToDocument } from '@apollo/client/utilities'
import type { CodegenConfig } from '@graphql-codegen/cli'

const config: CodegenConfig = {
  schema: '../../schema.graphql',
  documents: 'operations.ts',
  generates: {
    'generated/': {
      preset: 'client',
      presetConfig: {
        fragmentMasking: false,
        persistedDocuments: { hashAlgorithm: 'sha256' },
      },
      // What caches ask for belongs into the trusted text. The preset's own transform also asks it
      // of the root, where a subscription may have one field only.
      documentTransforms: [
        {
          transform: ({ documents }) =>
            documents.map((file) => ({
              ...file,
              document: file.document && addTypenameToDocument(file.document),
            })),
        },
      ],
      config: {
        useTypeImports: true,
        enumsAsTypes: true,
        strictScalars: true,
        scalars: {
          DateTime: 'string', // RFC 3339, with its offset: '2026-09-15T14:40:00Z'
          Date: 'string', // '2026-09-15'
          PartialDate: 'string', // '1996', '1996-04' or '1996-04-12': never new Date() of it
          Cursor: 'string', // opaque
          UUID: 'string',
          URL: 'string',
          Base64Bytes: 'string', // base64url
          Decimal: 'string', // exact: a number would round it
        },
      },
    },
    'generated/possibleTypes.ts': {
      plugins: ['fragment-matcher'],
      config: { useExplicitTyping: true },
    },
    'generated/introspection.ts': { plugins: ['urql-introspection'] },
  },
}

export default config
