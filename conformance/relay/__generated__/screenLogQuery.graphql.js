/**
 * @generated SignedSource<<5c81c4064eca5b142f8e96029ec4ed6d>>
 * @relayHash 5fed40037ba9bae5fd0e722e291a8deb
 * @lightSyntaxTransform
 */

/* eslint-disable */

'use strict';

// @relayRequestID ac48adb7825ae7fde1aac022729da2665f617029c227d12badea042a4e720304

var node = {
  "fragment": {
    "argumentDefinitions": [],
    "kind": "Fragment",
    "metadata": null,
    "name": "screenLogQuery",
    "selections": [
      {
        "args": null,
        "kind": "FragmentSpread",
        "name": "screen_log"
      }
    ],
    "type": "Query",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": [],
    "kind": "Operation",
    "name": "screenLogQuery",
    "selections": [
      {
        "alias": null,
        "args": null,
        "concreteType": "JournalHead",
        "kind": "LinkedField",
        "name": "journalHead",
        "plural": false,
        "selections": [
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "size",
            "storageKey": null
          }
        ],
        "storageKey": null
      }
    ]
  },
  "params": {
    "id": "ac48adb7825ae7fde1aac022729da2665f617029c227d12badea042a4e720304",
    "metadata": {},
    "name": "screenLogQuery",
    "operationKind": "query",
    "text": null
  }
};

node.hash = "10d4648c349d6911d3bbc121319da51d";

module.exports = node;
