/**
 * From the document's tables back to the nested state that the serializer gave.
 *
 * A document holds a table of nodes for each layer (`Task`: node key → fields) and a table of places for each
 * list (`Column.tasks`: parent's key → child's key → order key). What belongs together says the root `rxcrdt`.
 */

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Fields = { [field: string]: unknown };
/** Child's node key → its order key; several order keys where the child stands in the list more than once. */
export type Places = { [child: string]: string | string[] };

export interface LayerInfo {
  fields: string[];
  /** Fields that hold one node, and fields that hold a list of nodes: field → layer. */
  one: { [field: string]: string };
  many: { [field: string]: string };
}

export interface Description {
  layout: number;
  /** The root's layer and node key; null when the row is gone. */
  root: [layer: string, key: string] | null;
  layers: { [layer: string]: LayerInfo };
}

export interface Tables {
  [table: string]: { [key: string]: Fields | Places };
}

/** The names of all tables that a document of these layers has. */
export function tableNames(layers: Description["layers"]): string[] {
  return Object.entries(layers).flatMap(([layer, { many }]) => [
    layer,
    ...Object.keys(many).map((field) => `${layer}.${field}`),
  ]);
}

/** The keys of a list, in order. Order keys are compared as plain strings. */
export function inOrder(places: Places): string[] {
  const entries = Object.entries(places).flatMap(([child, order]) =>
    (Array.isArray(order) ? order : [order]).map((key) => ({ child, key })),
  );
  return entries
    .sort((a, b) => compare(a.key, b.key) || compare(a.child, b.child))
    .map((entry) => entry.child);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Makes a function that gives the nested state. It returns the very same object for a node in which nothing
 * changed, so that what React draws from it need not be drawn again.
 */
export function createDenormalizer<Root>(): (description: Description, tables: Tables) => Root | null {
  let before = new Map<string, Fields>();

  return ({ root, layers }, tables) => {
    const now = new Map<string, Fields>();

    function node(layer: string, key: string): Fields | null {
      const id = `${layer} ${key}`;
      const known = now.get(id);
      if (known) return known;
      const stored = tables[layer]?.[key] as Fields | undefined;
      const info = layers[layer];
      if (!stored || !info) return null;
      const made = share(before.get(id), resolve(layer, key, info, stored));
      now.set(id, made);
      return made;
    }

    function resolve(layer: string, key: string, info: LayerInfo, stored: Fields): Fields {
      const result: Fields = {};
      for (const field of info.fields) {
        const child = info.many[field];
        const places = tables[`${layer}.${field}`]?.[key] as Places | undefined;
        if (child && places) {
          result[field] = inOrder(places).map((childKey) => node(child, childKey)).filter(Boolean);
        } else if (field in stored) {
          const value = stored[field];
          const target = info.one[field];
          result[field] = target && typeof value === "string" ? node(target, value) : value;
        }
      }
      return result;
    }

    const result = root && node(...root);
    before = now;
    return result as Root | null;
  };
}

/** `next`, or `before` if it holds the same; lists are shared one by one. */
function share(before: Fields | undefined, next: Fields): Fields {
  if (!before) return next;
  let same = Object.keys(before).length === Object.keys(next).length;
  for (const [field, value] of Object.entries(next)) {
    const old = before[field];
    if (Array.isArray(value) && Array.isArray(old) && sameItems(old, value)) next[field] = old;
    same &&= next[field] === old;
  }
  return same ? before : next;
}

function sameItems(a: unknown[], b: unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
