const EXPIRY_MARGIN_MS = 10_000; // the API accepts a token for some seconds more

/** Return whether both tokens name the same user and session. A token that cannot be read matches none.
 *
 * Nothing is verified: the API does that. */
export function isSameAccount(one: string, other: string): boolean {
  const [left, right] = [readAccount(one), readAccount(other)];
  return left !== undefined && left.sub === right?.sub && left.sid === right.sid;
}

/** Return whether the token names this user. A token that cannot be read names none. */
export const isTokenOf = (userId: string, token: string): boolean => readAccount(token)?.sub === userId;

/** Return whether the token expired so long ago, by this device's clock, that the API will hardly accept it. */
export function isLongExpired(token: string): boolean {
  const exp = readAccount(token)?.exp;
  return typeof exp === "number" && exp * 1000 + EXPIRY_MARGIN_MS < Date.now();
}

/** Return `sub` and `sid`, or undefined. A token of a JWT template has no `sid`. */
function readAccount(token: string): { sub: string; sid?: string; exp?: unknown } | undefined {
  try {
    const payload = token.split(".")[1] ?? "";
    const { sub, sid, exp } = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/")));
    const isReadable = sub && typeof sub === "string" && (sid === undefined || typeof sid === "string");
    return isReadable ? { sub, sid, exp } : undefined;
  } catch {
    return undefined;
  }
}
