"""What `scene` asks: documents by name, queries and mutations as GraphQL text."""

from __future__ import annotations

PLAIN, MASKED, HELD, SECRET, FRESH, AUTHORED, GONE = (
    "plain",
    "masked",
    "held",
    "secret",
    "fresh",
    "authored",
    "gone",
)
NAMES = (PLAIN, MASKED, HELD, SECRET, FRESH, AUTHORED, GONE)

LISTS = """query($id: ID!) { record(id: $id) {
  all: documents(filter: {withFormerVersions: true}) { totalCount edges { cursor node { title
    authors { familyName } contents { fileName } readableContent { url }
    versions { totalCount edges { node { title } } } permissions { allowedBy { code } } } }
    pageInfo { startCursor endCursor } }
  oldest: documents(order: OLDEST) { edges { node { title } } }
  latest: documents(order: LATEST_DEPOSIT) { edges { node { title } } }
  titled: documents(order: TITLE) { edges { node { title } } }
  profile {
    conditions { totalCount edges { node { label sourceDocument { title } } } }
    immunizations { totalCount edges { node { vaccineLabel
      sources { vaccineLabel document { title } } } } }
    nothingToDeclare { section } }
  prevention { items { key history { immunization { vaccineLabel } } } } } }"""
_SEARCHES = (
    f'{name}: documents(filter: {{{way}: "{name}"}}) {{ totalCount edges {{ cursor }} }}'
    for name, way in zip(NAMES, ["title", "author"] * len(NAMES), strict=False)
)
SEARCH = f"query($id: ID!) {{ record(id: $id) {{ {' '.join(_SEARCHES)} }} }}"
NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
NODE = "query({}) {{ {} }}".format(
    ", ".join(f"${name}: ID!" for name in NAMES),
    " ".join(
        f"{name}: node(id: ${name}) {{ id ... on Document {{ title versions {{ totalCount }}"
        " contents { fileName url } } }"
        for name in NAMES
    ),
)

_INPUTS = {
    "changeAccessSettings": "record { id access { settings { revision hideResultsDays } } }",
    "nameCareTeamMember": "member { id role basis }",
    "joinCareTeam": "record { id }",
    "endCareTeamMembership": "endedMemberId",
    "giveConsent": "consent { id expiresAt }",
    "attestConsent": "record { id }",
    "revokeConsent": "revokedConsentId",
    "blockAccess": "block { id }",
    "liftBlock": "liftedBlockId",
    "openEmergencyAccess": "record { id } emergencyAccessId",
    "closeEmergencyAccess": "closedEmergencyAccessId",
    "inviteDelegate": "delegation { id kind scopes acceptedAt } invitationCode",
    "acceptDelegation": "delegation { id }",
    "revokeDelegation": "revokedDelegationId",
    "addDocument": "document { id title depositedBy isMasked }",
    "replaceDocument": "document { id version }",
    "correctDocument": "document { id title }",
    "maskDocument": "document { id isMasked }",
    "deleteDocument": "deletedDocumentId",
    "addProfileEntry": "entry { id label statedBy version }",
    "correctProfileEntry": "entry { id label version }",
    "removeProfileEntry": "removedEntryId",
    "declareNothing": "record { id }",
    "addImmunization": "immunization { id sources { statedBy } }",
    "removeImmunization": "immunization { id }",
}
MUTATIONS = {
    name: f"mutation($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{"
    f" __typename ... on {name[0].upper()}{name[1:]}Success {{ {fields} }}"
    " ... on UserError { code message path } ... on AccessDenied { rule } } }"
    for name, fields in _INPUTS.items()
}
