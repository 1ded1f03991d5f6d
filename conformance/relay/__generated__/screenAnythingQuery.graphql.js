/**
 * @generated SignedSource<<b3dd8c0b581183dce1b2dd4ef152bc80>>
 * @relayHash 535888c8407c71e2258ee1275370180b
 * @lightSyntaxTransform
 */

/* eslint-disable */

'use strict';

// @relayRequestID 8c68a38801d2d05c99b7d4816f1e9ad8d836732ce98b067b7983017b8a816df4

var node = (function(){
var v0 = [
  {
    "defaultValue": null,
    "kind": "LocalArgument",
    "name": "id"
  }
],
v1 = [
  {
    "kind": "Variable",
    "name": "id",
    "variableName": "id"
  }
];
return {
  "fragment": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Fragment",
    "metadata": null,
    "name": "screenAnythingQuery",
    "selections": [
      {
        "alias": null,
        "args": (v1/*:: as any*/),
        "concreteType": null,
        "kind": "LinkedField",
        "name": "node",
        "plural": false,
        "selections": [
          {
            "args": null,
            "kind": "FragmentSpread",
            "name": "screen_anything"
          }
        ],
        "storageKey": null
      }
    ],
    "type": "Query",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Operation",
    "name": "screenAnythingQuery",
    "selections": [
      {
        "alias": null,
        "args": (v1/*:: as any*/),
        "concreteType": null,
        "kind": "LinkedField",
        "name": "node",
        "plural": false,
        "selections": [
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "__typename",
            "storageKey": null
          },
          {
            "kind": "TypeDiscriminator",
            "abstractKey": "__isNode"
          },
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "id",
            "storageKey": null
          }
        ],
        "storageKey": null
      }
    ]
  },
  "params": {
    "id": "8c68a38801d2d05c99b7d4816f1e9ad8d836732ce98b067b7983017b8a816df4",
    "metadata": {},
    "name": "screenAnythingQuery",
    "operationKind": "query",
    "text": null
  }
};
})();

node.hash = "9fcb9cea3215edcda122e3e1170b8ea9";

module.exports = node;
