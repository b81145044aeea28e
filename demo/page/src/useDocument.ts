import { useMemo } from "react";
import { useY } from "react-yjs";
import type * as Y from "yjs";

import { createDenormalizer, tableNames, type Description, type Tables } from "./denormalize";

/** What the document says about itself; null until that has arrived. */
export function useDescription(doc: Y.Doc): Description | null {
  const raw = useY(doc.getMap("rxcrdt")) as Partial<Description>;
  return raw.layers && raw.root !== undefined ? (raw as Description) : null;
}

/**
 * The nested state of a document, drawn again when it changes; null when its root row is gone.
 *
 * Each table takes a hook, so `description.layers` must be the same at every call: the component that calls
 * this is given the layers as its `key`.
 */
export function useNested<Root>(doc: Y.Doc, description: Description): Root | null {
  const denormalize = useMemo(() => createDenormalizer<Root>(), [doc]);
  const names = tableNames(description.layers);
  const contents = names.map((name) => useY(doc.getMap(name)));
  return useMemo(() => {
    const tables = Object.fromEntries(names.map((name, index) => [name, contents[index]]));
    return denormalize(description, tables as Tables);
  }, [denormalize, description, ...contents]);
}
