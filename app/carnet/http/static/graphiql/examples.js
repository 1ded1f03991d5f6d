// The tabs that GraphiQL opens with. Each is one operation, and says as whom it answers something.
"use strict";

const CARNET_EXAMPLES = [
  `# As camille: choose her at the top right.
# Where there is no sandbox, put under Headers:
# {"Authorization": "Bearer …"}

query MyRecord {
  viewer {
    ... on Patient {
      givenNames
      birthDate
      record {
        id
        state
        documents(first: 5) {
          totalCount
          edges {
            node {
              id
              title
              category
              version
              authors { familyName organizationName }
            }
          }
        }
      }
      actsFor(first: 5) {
        edges { node { kind holder { givenNames } } }
      }
    }
  }
}
`,
  `# As camille. Each url answers GET with the same
# Authorization header; ranges work.

query MyResults {
  viewer {
    ... on Patient {
      record {
        documents(
          first: 5
          filter: { categories: [LABORATORY, IMAGING] }
        ) {
          edges {
            node {
              title
              permissions { mask delete allowedBy { code } }
              readableContent { mediaType sizeBytes url }
            }
          }
          pageInfo { hasNextPage endCursor }
        }
      }
    }
  }
}
`,
  `# As marc. What is asked of him, and when.

query MyCalendar {
  viewer {
    ... on Patient {
      record {
        calendar(first: 5) {
          edges {
            node {
              date
              ... on PreventionItem {
                title(locale: EN)
                level
                status
                overdue
              }
            }
          }
        }
        profile {
          immunizations(first: 5) {
            edges {
              node {
                givenOn
                vaccineLabel
                diseases { name(locale: EN) }
              }
            }
          }
        }
      }
    }
  }
}
`,
  `# As camille. Leave it running, and run the next
# tab's mutation in another tab of the browser.

subscription WhatHappens {
  inboxEvents {
    __typename
    ... on CaughtUp { cursor }
    ... on DocumentDeposited {
      cursor
      document { title }
    }
    ... on NotificationReceived {
      cursor
      notification { kind }
    }
  }
}
`,
  `# As faure, a radiologist whom nobody has let in:
# Camille agrees in his consulting room, and is told
# at once. As a patient, see a refusal.

mutation AttestConsent {
  attestConsent(
    input: {
      patient: {
        identifier: "295044523404230"
        identifierSystem: "urn:oid:1.2.250.1.213.1.4.10"
        birthDate: "1995-04-12"
      }
    }
  ) {
    __typename
    ... on AttestConsentSuccess {
      record {
        allowedBy { code meaning }
        documents(first: 5) {
          edges { node { title } }
        }
      }
    }
    ... on AccessDenied { rule }
    ... on UserError { code message }
  }
}
`,
  `# As camille. Who looked at her record, who changed
# it, and by which rule.

query WhoLooked {
  viewer {
    ... on Patient {
      record {
        journal(first: 5, filter: { byOthers: true }) {
          edges {
            node {
              at
              actorName
              action
              rule { code meaning }
              documents { title }
            }
          }
        }
      }
    }
  }
}
`,
];
