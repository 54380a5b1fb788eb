/**
 * What members are called in the files for boards: short, and the same in all of them. Each is minified by itself, and
 * the modules that add to a client reach into it. The names are made of the sources alone, so that nobody keeps a list.
 */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = dirname(fileURLToPath(import.meta.url));

/** The letters, those first that there are most of anyway: it compresses better. */
const LETTERS = "etnrisoaclhdpumfgbvywxkjqzETNRISOACLHDPUMFGBVYWXKJQZ";

/** Paths of the files in a folder. */
function filesIn(folder, names = /\.ts$/) {
  return readdirSync(folder).filter((name) => names.test(name)).sort().map((name) => resolve(folder, name));
}

/** Calls `visit` with each node of a TypeScript file. */
function walk(path, visit) {
  const enter = (node) => {
    visit(node);
    ts.forEachChild(node, enter);
  };
  enter(ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.ES2022, true));
}

/** The name that a node gives to a member, or by which it takes one. */
function memberName(node) {
  if (ts.isPropertyAccessExpression(node)) return node.name.text;
  const isMember = ts.isClassElement(node) || ts.isTypeElement(node) || ts.isObjectLiteralElement(node);
  return isMember ? node.name?.text : undefined;
}

/** True for what stands in the declaration of a public type, or of `Client`. */
function isPublic(node) {
  // Its names are those of events, which are strings.
  if (ts.isTypeElement(node)) return node.parent.name?.text !== "Events5";
  const isOfClient = node.parent?.name?.text === "Client" && (ts.isMethodDeclaration(node) || ts.isGetAccessor(node));
  const isInternal = ts.getJSDocTags(node).some((tag) => tag.tagName.text === "internal");
  return isOfClient && !isInternal && !node.name.text.startsWith("_");
}

/** Members that have to keep their names: those of the public types, and those that the language has. */
function keptNames() {
  const names = new Set();
  const add = (node) => names.add(memberName(node));
  const files = ["hal/socket.ts", "src/client.ts", "src/callbacks.ts"];
  // Of MQTT 5 those that an application sees.
  for (const name of ["properties", "client", "face", "auth", "request"]) files.push(`src/v5/${name}.ts`);
  const types = files.map((path) => resolve(root, path));
  for (const path of [...types, ...filesIn(resolve(root, "src/optional"))]) {
    walk(path, (node) => isPublic(node) && add(node));
  }
  for (const path of filesIn(dirname(ts.getDefaultLibFilePath({})), /^lib\.es[\da-z.]*\.d\.ts$/)) walk(path, add);
  return names;
}

/** One letter for each of the first names, then two. */
function shortName(index) {
  const rest = Math.floor(index / LETTERS.length);
  return (rest > 0 ? shortName(rest - 1) : "") + LETTERS[index % LETTERS.length];
}

/**
 * Member -> what it is called on boards: those that are declared in the sources but for the ones that somebody else
 * calls. Those that are written most often have the shortest names; those of the client and its HAL before those of
 * modules that add to it. What these have in them does not change what those are called: with a module more, or MQTT 5,
 * the client is the same to the byte.
 */
function makeNames() {
  const kept = keptNames();
  const declared = new Set();
  const counts = new Map();
  /** The same in what each board loads, the client and its HAL, and in the client alone. */
  const ownCounts = new Map();
  const clientCounts = new Map();
  const client = filesIn(resolve(root, "src"));
  const v5 = resolve(root, "src/v5");
  const sources = [...client, ...filesIn(resolve(root, "src/optional")), ...filesIn(v5)];
  const hals = filesIn(resolve(root, "hal"), /^(?:ecma419|esp|flash|key-value|moddable).*\.ts$/);
  const own = [...client, ...hals.filter((path) => !/(?:store|websocket)\.ts$/.test(path))];
  for (const path of [...sources, ...hals]) {
    walk(path, (node) => {
      // What is found by a string is called so. Those of MQTT 5 are names of properties and events.
      if (ts.isStringLiteralLike(node) && !path.startsWith(v5)) kept.add(node.text);
      const name = memberName(node);
      if (name === undefined) return;
      // In a HAL, what is not private may be a member of the platform's.
      if (hals.includes(path) && !name.startsWith("_")) kept.add(name);
      else if (!ts.isPropertyAccessExpression(node)) declared.add(name);
      const times = ts.isTypeElement(node) ? 0 : 1;
      counts.set(name, (counts.get(name) ?? 0) + times);
      if (client.includes(path)) clientCounts.set(name, (clientCounts.get(name) ?? 0) + times);
      if (own.includes(path)) ownCounts.set(name, (ownCounts.get(name) ?? 0) + times);
    });
  }
  const names = [...declared].filter((name) => !kept.has(name));
  const ownCount = (name) => ownCounts.get(name) ?? 0;
  const otherCount = (name) => (ownCounts.has(name) ? clientCounts.get(name) ?? 0 : counts.get(name));
  names.sort((a, b) => ownCount(b) - ownCount(a) || otherCount(b) - otherCount(a) || (a < b ? -1 : 1));
  const made = {};
  let index = 0;
  for (const name of names) {
    while (kept.has(shortName(index)) || counts.has(shortName(index))) index++;
    made[name] = shortName(index++);
  }
  return made;
}

let names;

/** As `makeNames`; made once. */
export function boardNames() {
  names ??= makeNames();
  return names;
}
