// @ts-check
// Name operations as a frontend says them: `notes_list` becomes listNotes, `notes_destroy` deleteNote.

/** @type {Record<string, string>} */
const VERBS = {
  list: "list",
  create: "create",
  retrieve: "get",
  update: "replace", // PUT
  partial_update: "update", // PATCH
  destroy: "delete",
};
const ID = new RegExp(`^(.+?)_(${Object.keys(VERBS).join("|")})$`);

/**
 * Return a function that names the operations of one schema. A name of your own (`extend_schema`) is kept.
 *
 * @returns {(operationId: string) => string}
 */
export function createNaming() {
  const taken = new Set();
  return (operationId) => {
    const name = rename(operationId);
    const chosen = taken.has(name) ? operationId : name;
    taken.add(chosen);
    return chosen;
  };
}

/** @param {string} operationId */
function rename(operationId) {
  const [, resource, action] = ID.exec(operationId) ?? [];
  if (!resource || !action) return operationId;
  return `${VERBS[action]}_${action === "list" ? resource : singular(resource)}`;
}

/**
 * Return the name with its last word in the singular, by the regular rules of English.
 *
 * @param {string} name
 */
function singular(name) {
  if (/[^aeiou]ies$/.test(name)) return name.replace(/ies$/, "y");
  if (/(ss|us|sh|ch|x|zz)es$/.test(name)) return name.replace(/es$/, "");
  return /[^sui]s$/.test(name) ? name.replace(/s$/, "") : name;
}
