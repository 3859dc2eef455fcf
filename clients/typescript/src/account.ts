/** Return whether both tokens name the same user and session. A token that cannot be read matches none.
 *
 * Nothing is verified: the API does that. */
export function isSameAccount(one: string, other: string): boolean {
  const account = readAccount(one);
  return account !== undefined && account === readAccount(other);
}

/** Return `sub` and `sid` as one string, or undefined. A token of a JWT template has no `sid`. */
function readAccount(token: string): string | undefined {
  try {
    const payload = token.split(".")[1] ?? "";
    const { sub, sid } = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    const isReadable = sub && typeof sub === "string" && (sid === undefined || typeof sid === "string");
    return isReadable ? JSON.stringify([sub, sid]) : undefined;
  } catch {
    return undefined;
  }
}
