/**
 * @generated SignedSource<<e41ac029913b09f0f59fd04d3c4dd9b1>>
 * @lightSyntaxTransform
 */

/* eslint-disable */

'use strict';

var node = {
  "argumentDefinitions": [],
  "kind": "Fragment",
  "metadata": {
    "refetch": {
      "connection": null,
      "fragmentPathInResult": [],
      "operation": require('./screenLogQuery.graphql')
    }
  },
  "name": "screen_log",
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
  ],
  "type": "Query",
  "abstractKey": null
};

node.hash = "10d4648c349d6911d3bbc121319da51d";

module.exports = node;
