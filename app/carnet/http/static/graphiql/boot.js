// Starts GraphiQL on this server. Headers stay in this tab's memory: a token is never stored.
"use strict";

const fetcher = GraphiQL.createFetcher({ url: "/graphql" });

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultTabs: CARNET_EXAMPLES.map((query) => ({ query, headers: "" })),
    defaultEditorToolsVisibility: "headers",
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
  }),
);
