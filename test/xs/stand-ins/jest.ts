/**
 * What the suites use of `@jest/globals`, for an engine that jest does not run on: it collects the tests, runs them one
 * behind the other and tells of each. Means the same as jest's, or is not there, so that a suite that needs more fails.
 *
 * Plain script of the engine: nothing of Node, and nothing that needs a writable intrinsic.
 */

type Body = () => unknown;
type Hook = "beforeAll" | "beforeEach" | "afterEach" | "afterAll";

interface Test {
  title: string;
  isSkipped: boolean;
  body: Body;
}

interface Block {
  title: string;
  isSkipped: boolean;
  children: (Block | Test)[];
  hooks: Record<Hook, Body[]>;
}

function block(title: string, isSkipped: boolean): Block {
  return { title, isSkipped, children: [], hooks: { beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] } };
}

const root = block("", false);
let current = root;

// Collecting

function addBlock(title: string, body: Body, isSkipped: boolean): void {
  const outer = current;
  current = block(title, isSkipped);
  outer.children.push(current);
  try {
    if (body() !== undefined) throw new Error(`describe("${title}") returned something`);
  } finally {
    current = outer;
  }
}

function addTest(title: string, body: Body, isSkipped: boolean): void {
  current.children.push({ title, body, isSkipped });
}

type Add = typeof addTest;
type Each = (table: readonly unknown[]) => (title: string, body: (...values: unknown[]) => unknown) => void;

function eachOf(add: Add, isSkipped: boolean): Each {
  return (table) => (title, body) => {
    const areLists = table.every((row) => Array.isArray(row));
    table.forEach((row, index) => {
      const values = areLists ? (row as unknown[]) : [row];
      add(filledIn(title, values, index), () => body(...values), isSkipped);
    });
  };
}

function adder(add: Add) {
  return Object.assign((title: string, body: Body) => add(title, body, false), {
    each: eachOf(add, false),
    skip: Object.assign((title: string, body: Body) => add(title, body, true), { each: eachOf(add, true) }),
  });
}

export const describe = adder(addBlock);
export const it = adder(addTest);
export const test = it;

const hook = (name: Hook) => (body: Body) => void current.hooks[name].push(body);
export const beforeAll = hook("beforeAll");
export const beforeEach = hook("beforeEach");
export const afterEach = hook("afterEach");
export const afterAll = hook("afterAll");

/** The title of one row of a table: `%s` and the like take the values in turn, `$name` a property of the first. */
function filledIn(title: string, values: unknown[], index: number): string {
  const first = values[0] as Record<string, unknown>;
  const isNamed = values.length === 1 && typeof first === "object" && first !== null && !Array.isArray(first);
  let at = 0;
  return title
    .replace(/\$(\w+)/g, (whole, name: string) => {
      return isNamed && name in first ? plain(first[name]) : whole;
    })
    .replace(/%([sdijp#%])/g, (whole, kind: string) => {
      if (kind === "%") return "%";
      if (kind === "#") return String(index);
      if (at >= values.length) return whole;
      const value = values[at++];
      if (kind === "p") return show(value);
      if (kind === "j") return JSON.stringify(value);
      if (kind === "s") return plain(value);
      return String(kind === "i" ? parseInt(value as string) : Number(value));
    });
}

// Running

/** What is told of a test. */
export interface Outcome {
  /** Its place in `titles()`. */
  index: number;
  isSkipped: boolean;
  /** Why it failed. */
  failure?: string;
}

/** Titles of all tests that were collected: those of the blocks around each, and its own. */
export function titles(): string[] {
  const all: string[] = [];
  const visit = (node: Block | Test, path: string[]): void => {
    if ("body" in node) all.push([...path, node.title].join(" "));
    else for (const child of node.children) visit(child, node === root ? path : [...path, node.title]);
  };
  visit(root, []);
  return all;
}

/** Runs all tests but those that are left out, in the order in which they are written; tells of each behind it. */
export async function run(tell: (outcome: Outcome) => void, isLeftOut: (title: string) => boolean): Promise<void> {
  const all = titles();
  let index = 0;

  async function runTest(single: Test, around: Block[]): Promise<void> {
    const outwards = [...around].reverse();
    const failures: string[] = [];
    const attempt = async (body: Body): Promise<void> => {
      try {
        await body();
      } catch (error) {
        failures.push(describeError(error));
      }
    };
    const isSkipped = single.isSkipped || around.some((one) => one.isSkipped) || isLeftOut(all[index]);
    if (!isSkipped) {
      for (const one of around) for (const before of one.hooks.beforeEach) await attempt(before);
      if (failures.length === 0) await attempt(single.body);
      for (const one of outwards) for (const after of one.hooks.afterEach) await attempt(after);
    }
    tell({ index: index++, isSkipped, ...(failures.length > 0 && { failure: failures.join("\n") }) });
  }

  async function runBlock(one: Block, around: Block[]): Promise<void> {
    const inside = [...around, one];
    for (const before of one.hooks.beforeAll) await before();
    for (const child of one.children) {
      if ("body" in child) await runTest(child, inside);
      else await runBlock(child, inside);
    }
    for (const after of one.hooks.afterAll) await after();
  }

  await runBlock(root, []);
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.stack ?? String(error) : `thrown: ${show(error)}`;
}

// Expecting

/** Stands for any value of a kind in what is expected. */
class Matching {
  readonly matches: (value: unknown) => boolean;
  readonly description: string;
  constructor(description: string, matches: (value: unknown) => boolean) {
    this.description = description;
    this.matches = matches;
  }
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const kindOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1);
const hasOwn = (value: object, key: PropertyKey): boolean => Object.prototype.hasOwnProperty.call(value, key);

function enumerableKeys(value: object): PropertyKey[] {
  return Reflect.ownKeys(value).filter((key) => Object.getOwnPropertyDescriptor(value, key)?.enumerable);
}

/**
 * jest's `toEqual`: the same kinds, contents and own properties, whatever the class; undefined is as good as none, but
 * in a list, where jest lets the last be wanting.
 */
function equals(a: unknown, b: unknown, depth = 0): boolean {
  if (b instanceof Matching) return b.matches(a);
  if (Object.is(a, b)) return true;
  if (!isObject(a) || !isObject(b)) return false;
  if (depth > 30) throw new Error("toEqual: too deep, or a cycle");
  const kind = kindOf(a);
  if (kindOf(b) !== kind) return false;
  if (ArrayBuffer.isView(a)) {
    if (kind !== "Uint8Array") throw new Error(`toEqual: cannot compare ${kind}`);
    const [one, other] = [a as Uint8Array, b as Uint8Array];
    return one.length === other.length && one.every((byte, i) => byte === other[i]);
  }
  switch (kind) {
    case "Array":
      if ((a as unknown[]).length !== (b as unknown[]).length) return false;
      break;
    case "Error":
      if ((a as Error).name !== (b as Error).name || (a as Error).message !== (b as Error).message) return false;
      break;
    case "Set":
      if ([...(a as Set<unknown>)].some(isObject)) throw new Error("toEqual: cannot compare a Set of objects");
      return (a as Set<unknown>).size === (b as Set<unknown>).size &&
        [...(a as Set<unknown>)].every((one) => (b as Set<unknown>).has(one));
    case "Object":
      if (Symbol.iterator in a || Symbol.iterator in b) throw new Error("toEqual: cannot compare iterables");
      break;
    default:
      throw new Error(`toEqual: cannot compare ${kind}`);
  }
  const [one, other] = [a as Record<PropertyKey, unknown>, b as Record<PropertyKey, unknown>];
  const same = (key: PropertyKey): boolean =>
    equals(hasOwn(one, key) ? one[key] : undefined, hasOwn(other, key) ? other[key] : undefined, depth + 1);
  return enumerableKeys(a).every(same) && enumerableKeys(b).every(same);
}

/** jest's `toMatchObject`: as `equals`, but objects may have more properties than are expected. */
function contains(value: unknown, expected: unknown): boolean {
  if (Array.isArray(expected)) {
    if (!Array.isArray(value) || value.length !== expected.length) return false;
    return expected.every((part, i) => contains(value[i], part));
  }
  if (expected instanceof Matching || kindOf(expected) !== "Object") return equals(value, expected);
  if (!isObject(value)) return false;
  const [one, other] = [value as Record<PropertyKey, unknown>, expected as Record<PropertyKey, unknown>];
  return enumerableKeys(other).every((key) => key in one && contains(one[key], other[key]));
}

function holds(value: unknown, part: unknown): boolean {
  if (typeof value === "string") return value.includes(part as string);
  return [...(value as Iterable<unknown>)].some((one) => one === part);
}

function throws(call: unknown, expected: unknown): boolean {
  if (typeof call !== "function") throw new Error("toThrow: not a function");
  let thrown: unknown;
  try {
    (call as Body)();
    return false;
  } catch (error) {
    thrown = error;
  }
  if (expected === undefined) return true;
  if (typeof expected === "function") return thrown instanceof expected;
  const message = isObject(thrown) && "message" in thrown ? String(thrown.message) : String(thrown);
  if (typeof expected === "string") return message.includes(expected);
  if (expected instanceof RegExp) return expected.test(message);
  if (expected instanceof Error) return message === expected.message;
  throw new Error(`toThrow: cannot expect ${show(expected)}`);
}

function fits(value: unknown, pattern: unknown): boolean {
  if (typeof value !== "string") throw new Error("toMatch: not a string");
  return pattern instanceof RegExp ? pattern.test(value) : value.includes(pattern as string);
}

function compare(test: (a: number, b: number) => boolean): (value: unknown, other: unknown) => boolean {
  return (value, other) => {
    if (typeof value !== "number" || typeof other !== "number") throw new Error("only numbers have an order");
    return test(value, other);
  };
}

const MATCHERS = {
  toBe: (value: unknown, expected: unknown) => Object.is(value, expected),
  toBeUndefined: (value: unknown) => value === undefined,
  toBeNull: (value: unknown) => value === null,
  toBeInstanceOf: (value: unknown, type: unknown) => value instanceof (type as new () => unknown),
  toBeGreaterThan: compare((a, b) => a > b),
  toBeGreaterThanOrEqual: compare((a, b) => a >= b),
  toBeLessThan: compare((a, b) => a < b),
  toBeLessThanOrEqual: compare((a, b) => a <= b),
  toEqual: (value: unknown, expected: unknown) => equals(value, expected),
  /** Here no stricter: on Node it is. */
  toStrictEqual: (value: unknown, expected: unknown) => equals(value, expected),
  toMatchObject: contains,
  toHaveLength: (value: unknown, length: unknown) => (value as unknown[]).length === length,
  toContain: holds,
  toMatch: fits,
  toThrow: throws,
};
type Matchers<R = void> = Record<keyof typeof MATCHERS, (expected?: unknown) => R>;

function matchersOf(value: unknown, isNot: boolean): Matchers {
  const bound: Partial<Matchers> = {};
  for (const [name, matcher] of Object.entries(MATCHERS)) {
    bound[name as keyof Matchers] = (expected) => {
      if (matcher(value, expected) !== isNot) return;
      throw new Error(`expect(${show(value, 5)})${isNot ? ".not" : ""}.${name}(${show(expected, 5)})`);
    };
  }
  return bound as Matchers;
}

/** Matchers of what becomes of a promise: of its value, or of its error. */
function matchersOfLater(promise: unknown, isError: boolean): Matchers<Promise<void>> {
  const later = async (): Promise<unknown> => {
    if (!(promise instanceof Promise)) throw new Error(`${show(promise)} is no promise`);
    let isRejected = false;
    const value: unknown = await promise.catch((error: unknown) => {
      isRejected = true;
      return error;
    });
    if (isRejected !== isError) throw new Error(`it was ${isRejected ? "rejected" : "resolved"}: ${show(value)}`);
    return value;
  };
  const bound: Partial<Matchers<Promise<void>>> = {};
  for (const name of Object.keys(MATCHERS) as (keyof Matchers)[]) {
    bound[name] = async (expected) => {
      const value = await later();
      // What a promise was rejected with counts as thrown.
      const thrown = (): void => {
        throw value;
      };
      matchersOf(name === "toThrow" && isError ? thrown : value, false)[name](expected);
    };
  }
  return bound as Matchers<Promise<void>>;
}

export const expect = Object.assign(
  (value: unknown) => ({
    ...matchersOf(value, false),
    not: matchersOf(value, true),
    // Made when asked for.
    get resolves() {
      return matchersOfLater(value, false);
    },
    get rejects() {
      return matchersOfLater(value, true);
    },
  }),
  {
    stringMatching: (pattern: RegExp): Matching =>
      new Matching(`text like ${String(pattern)}`, (value) => typeof value === "string" && pattern.test(value)),
  },
);

/** Text as it is, anything else as jest's titles have it. */
function plain(value: unknown): string {
  return typeof value === "string" ? value : show(value);
}

/** A value as jest's titles have it. */
function show(value: unknown, depth = 1): string {
  if (typeof value === "string") return `"${value.replace(/["\\]/g, "\\$&")}"`;
  if (typeof value === "function") return `[Function ${value.name || "anonymous"}]`;
  if (value instanceof Matching) return value.description;
  if (value instanceof Error) return `[${value.name}: ${value.message}]`;
  if (!isObject(value) || value instanceof RegExp) return Object.is(value, -0) ? "-0" : String(value);
  const name = value.constructor?.name ?? kindOf(value);
  if (depth < 0) return `[${name}]`;
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const parts = Array.from(value as ArrayLike<unknown>, (part) => show(part, depth - 1));
    return `${Array.isArray(value) ? "" : `${name} `}[${parts.join(", ")}]`;
  }
  const parts = Object.entries(value).map(([key, part]) => `"${key}": ${show(part, depth - 1)}`);
  return `${name === "Object" ? "" : `${name} `}{${parts.join(", ")}}`;
}

// Spying

export const jest = {
  /** Replaces a method until `mockRestore()`. */
  spyOn(object: Record<string, unknown>, name: string) {
    const original = Object.getOwnPropertyDescriptor(object, name);
    if (original === undefined) throw new Error(`spyOn: ${name} is inherited or not there`);
    const spy = {
      mockImplementation(implementation: (...values: unknown[]) => unknown) {
        Object.defineProperty(object, name, { ...original, value: implementation });
        return spy;
      },
      mockRestore: () => void Object.defineProperty(object, name, original),
    };
    return spy;
  },
};
