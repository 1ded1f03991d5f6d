// Starts GraphiQL on this server. In the sandbox one can become anybody who lives there.
// Tokens stay in this tab's memory and are never stored.
"use strict";

const create = React.createElement;
const SIGN_IN = `mutation SignIn($input: SignInInput!) {
  signIn(input: $input) {
    ... on SignInSuccess { token }
    ... on UserError { message }
  }
}`;
const SIGN_OUT = "mutation SignOut { signOut { __typename } }";

let token = null;

const send = GraphiQL.createFetcher({
  url: "/graphql",
  subscriptionUrl: `${location.origin.replace("http", "ws")}/graphql`,
});

// What is typed under Headers goes before who was chosen.
function fetcher(operation, options = {}) {
  const typed = options.headers ?? {};
  const isTyped = Object.keys(typed).some((name) => name.toLowerCase() === "authorization");
  const chosen = token && !isTyped ? { Authorization: `Bearer ${token}` } : {};
  return send(operation, { ...options, headers: { ...chosen, ...typed } });
}

async function ask(query, variables, bearer) {
  const answer = await fetch("/graphql", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}),
    },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}

async function become(person) {
  const former = token;
  token = null;
  if (former) await ask(SIGN_OUT, {}, former).catch(() => {});
  if (!person) return;
  const { login, password } = person;
  const input = { login, password, deviceName: "GraphiQL" };
  const { signIn } = await ask(SIGN_IN, { input });
  if (!signIn.token) throw new Error(signIn.message);
  token = signIn.token;
}

function Personas({ people }) {
  const [handle, setHandle] = React.useState("");
  const [state, setState] = React.useState("");
  const change = async (event) => {
    const chosen = event.target.value;
    setHandle(chosen);
    setState("Signing in…");
    try {
      await become(people.find((person) => person.handle === chosen));
      setState("");
    } catch (error) {
      setHandle("");
      setState(error.message);
    }
  };
  const options = (group) =>
    people
      .filter((person) => person.group === group)
      .map(({ handle, name, who }) =>
        create("option", { key: handle, value: handle }, `${name}, ${who}`),
      );
  const groups = [...new Set(people.map((person) => person.group))];
  return create(
    "label",
    { className: "carnet-personas" },
    create("span", { role: "status" }, state || (handle ? "Signed in as" : "Sign in as")),
    create(
      "select",
      { value: handle, onChange: change, disabled: state === "Signing in…" },
      create("option", { value: "" }, "nobody"),
      groups.map((group) => create("optgroup", { key: group, label: group }, options(group))),
    ),
  );
}

async function start() {
  const answer = await fetch("/static/graphiql/personas").catch(() => null);
  const people = answer?.ok ? await answer.json() : [];
  const corner = people.length ? create(Personas, { people }) : "Carnet";
  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    create(
      GraphiQL,
      {
        fetcher,
        defaultTabs: CARNET_EXAMPLES.map((query) => ({ query, headers: "" })),
        defaultEditorToolsVisibility: people.length ? false : "headers",
        isHeadersEditorEnabled: true,
        shouldPersistHeaders: false,
      },
      create(GraphiQL.Logo, null, corner),
    ),
  );
}

start();
