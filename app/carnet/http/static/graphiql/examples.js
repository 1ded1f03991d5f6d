// The tabs that GraphiQL opens with. Each is one operation.
"use strict";

const SIGN_IN = `# 1. In a terminal: carnet token --as camille
# 2. Below, under Headers: {"Authorization": "Bearer TOKEN"}
`;

const CARNET_EXAMPLES = [
  `${SIGN_IN}
query MyRecord {
  viewer {
    ... on Patient {
      givenNames
      birthDate
      record {
        state
        documents(first: 5) {
          totalCount
          edges { node { title category version serviceStartedAt authors { familyName organizationName } } }
        }
      }
    }
  }
}
`,
  `${SIGN_IN}
query MyImmunizations {
  viewer {
    ... on Patient {
      record {
        profile {
          immunizations(first: 10) {
            totalCount
            edges {
              node { givenOn vaccineLabel doseRank lotNumber diseases { name(locale: EN) } sources { statedBy } }
            }
          }
        }
      }
    }
  }
}
`,
  `${SIGN_IN}
# Each url answers GET with the same Authorization header; ranges work.
query MyDocumentContents {
  viewer {
    ... on Patient {
      record {
        documents(first: 5, filter: { categories: [LABORATORY, IMAGING] }) {
          edges { node { title readableContent { mediaType sizeBytes sha256 url } } }
        }
      }
    }
  }
}
`,
];
