// Fetch GraphiQL and React again into app/carnet/http/static/graphiql:
//
//     node scripts/vendor-graphiql.mjs
//
// Installs the pinned npm packages in a temporary folder, copies their browser bundles (without the
// line that points to a source map), gathers the licence of every package that the bundle's source map names, and writes
// MANIFEST.json with the SHA-256 of each file. 4.1.2 is the last GraphiQL with a bundle that needs
// no bundler. index.html, boot.js, boot.css and examples.js are ours and stay.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PACKAGES = { graphiql: "4.1.2", react: "18.3.1", "react-dom": "18.3.1" };
// Not in the output: GraphiQL's peer, and packages that only give a licence text: those of the fonts
// in the style sheet, and those that the bundle holds but that are no longer installed with it.
const BESIDE = [
  "graphql@16.11.0",
  "graphql-ws@5",
  "@fontsource/fira-code@5",
  "@fontsource/roboto@5",
  "@radix-ui/react-use-escape-keydown@1.1.0",
  "@react-aria/utils@3.28.0",
];
const FILES = {
  "graphiql.min.js": "graphiql/graphiql.min.js",
  "graphiql.min.css": "graphiql/graphiql.min.css",
  "react.production.min.js": "react/umd/react.production.min.js",
  "react-dom.production.min.js": "react-dom/umd/react-dom.production.min.js",
};

const target = join(
  dirname(fileURLToPath(import.meta.url)),
  "..",
  "app/carnet/http/static/graphiql",
);
const folder = mkdtempSync(join(tmpdir(), "graphiql-"));
try {
  writeFileSync(join(folder, "package.json"), "{}");
  const wanted = Object.entries(PACKAGES).map(([name, version]) => `${name}@${version}`);
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", ...wanted, ...BESIDE], {
    cwd: folder,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const modules = join(folder, "node_modules");
  const files = {};
  for (const [name, source] of Object.entries(FILES)) {
    const bytes = readFileSync(join(modules, source));
    // The source maps are larger than all the rest, so browsers are not sent to look for them.
    const text = Buffer.from(bytes.toString("utf8").replace(/\n?\/\/# sourceMappingURL=\S+\s*$/, "\n"));
    writeFileSync(join(target, name), text);
    files[name] = hash(text);
  }
  const licences = Buffer.from(gatherLicences(modules));
  writeFileSync(join(target, "LICENSES.txt"), licences);
  files["LICENSES.txt"] = hash(licences);
  writeFileSync(
    join(target, "MANIFEST.json"),
    JSON.stringify({ packages: PACKAGES, sha256: files }, null, 2) + "\n",
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function hash(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

function gatherLicences(modules) {
  const map = JSON.parse(readFileSync(join(modules, "graphiql/graphiql.min.js.map"), "utf8"));
  const names = new Set(["graphiql", "react", "react-dom", "@fontsource/fira-code", "@fontsource/roboto"]);
  for (const source of map.sources) {
    const [, tail] = source.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)/) ?? [];
    if (tail) names.add(tail);
  }
  const texts = new Map();
  for (const name of [...names].sort()) {
    const at = join(modules, name);
    const file = readdirSync(at).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
    const licence = JSON.parse(readFileSync(join(at, "package.json"), "utf8")).license;
    const text = file
      ? readFileSync(join(at, file), "utf8").replace(/\r\n/g, "\n").trim()
      : `${licence}; the package ships no licence text.`;
    texts.set(text, [...(texts.get(text) ?? []), name]);
  }
  const parts = [...texts].map(([text, users]) => `${users.join(", ")}\n\n${text}\n`);
  return (
    "What graphiql.min.js, graphiql.min.css, react.production.min.js and\n" +
    "react-dom.production.min.js are made of, and under which licences.\n\n" +
    parts.join(`\n${"-".repeat(78)}\n\n`)
  );
}
