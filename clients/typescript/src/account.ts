/** Return whether both tokens name the same user and session. A token that cannot be read matches none.
 *
 * Nothing is verified: the API does that. */
export function isSameAccount(one: string, other: string): boolean {
  const [left, right] = [readAccount(one), readAccount(other)];
  return left !== undefined && left.sub === right?.sub && left.sid === right.sid;
}

/** Return whether the token names this user. A token that cannot be read names none. */
export const isTokenOf = (userId: string, token: string): boolean => readAccount(token)?.sub === userId;

/** Return `sub` and `sid`, or undefined. A token of a JWT template has no `sid`. */
function readAccount(token: string): { sub: string; sid?: string } | undefined {
  try {
    const payload = token.split(".")[1] ?? "";
    const { sub, sid } = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/")));
    const isReadable = sub && typeof sub === "string" && (sid === undefined || typeof sid === "string");
    return isReadable ? { sub, sid } : undefined;
  } catch {
    return undefined;
  }
}
