/** The nested state of a document, by its own description: what a reader of the layout's description would write. */

/** Child's node key → order key, or several of them → the children in order. */
function inOrder(places) {
  return Object.entries(places)
    .flatMap(([child, orders]) => [orders].flat().map((order) => ({ child, order })))
    .sort((a, b) => compare(a.order, b.order) || compare(a.child, b.child))
    .map(({ child }) => child);
}

function compare(a, b) {
  return a < b ? -1 : Number(a > b);
}

/** Null if the document's row is gone, or nothing has come yet. */
export function denormalize(doc) {
  const { root, layers } = doc.getMap("rxcrdt").toJSON();
  const tables = new Map();

  function table(name) {
    if (!tables.has(name)) tables.set(name, doc.getMap(name).toJSON());
    return tables.get(name);
  }

  function node(name, key) {
    const { fields, one, many } = layers[name];
    const registers = table(name)[key];
    const state = {};
    for (const field of new Set([...fields, ...Object.keys(registers)])) {
      if (field in registers) {
        const value = registers[field];
        state[field] = field in one && value !== null ? node(one[field], value) : value;
      } else if (field in many && key in table(`${name}.${field}`)) {
        state[field] = inOrder(table(`${name}.${field}`)[key]).map((child) => node(many[field], child));
      }
    }
    return state;
  }

  return root ? node(...root) : null;
}
