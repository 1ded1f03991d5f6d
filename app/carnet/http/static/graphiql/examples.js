// The tabs that GraphiQL opens with. Each is one operation.
"use strict";

const SIGN_IN = `# 1. In a terminal: carnet token --as PERSONA
# 2. Below, under Headers: {"Authorization": "Bearer TOKEN"}
`;

const CARNET_EXAMPLES = [
  `${SIGN_IN}
query MyRecord {
  viewer {
    __typename
  }
}
`,
  `${SIGN_IN}
query MyImmunizations {
  viewer {
    __typename
  }
}
`,
  `${SIGN_IN}
query MyDocumentContents {
  viewer {
    __typename
  }
}
`,
];
