const NEEDED = ["Request", "Response", "Headers", "AbortController", "WeakMap", "atob"] as const;

/** Throw an error that names what this runtime lacks, or what is wrong with the address. */
export function requireRuntime(baseUrl: string, fetch: unknown): void {
  const missing = NEEDED.filter((name) => !(name in globalThis)).map(String);
  if (!fetch && !("fetch" in globalThis)) missing.unshift("fetch");
  if (missing.length > 0) {
    throw new Error(
      `This runtime has no ${missing.join(", ")}, which the API client needs. Add a polyfill before the client is ` +
        "created, or use one of the runtimes that its README lists.",
    );
  }
  if (!isAddress(baseUrl)) {
    throw new Error(
      "The baseUrl of the API client cannot be parsed: write an http or https address such as https://api.example.com.",
    );
  }
}

/** Return whether requests can be sent to this address. In a browser it may be relative to the page. */
function isAddress(baseUrl: string): boolean {
  const isAbsolute = /^[a-z][a-z0-9+.-]*:/i.test(baseUrl);
  if (isAbsolute && !/^https?:\/\/[^/?#\s]/i.test(baseUrl)) return false;
  try {
    new Request(isAbsolute ? baseUrl : new URL(baseUrl, globalThis.location.href));
    return true;
  } catch {
    return false;
  }
}

/** Return the cache mode for a server, where the runtime knows it: Cloudflare Workers refuse it before 2024-11-11. */
export const noStore = (): RequestCache | undefined =>
  "cache" in Request.prototype ? "no-store" : undefined;
