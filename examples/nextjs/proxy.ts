import { clerkMiddleware, createRouteMatcher } from "@clerk/nextjs/server";
import { proxyUrl, signInUrl } from "./lib/clerk";

const isPrivate = createRouteMatcher(["/notes(.*)"]);

export default clerkMiddleware(
  async (auth, request) => {
    if (isPrivate(request)) await auth.protect();
  },
  { signInUrl, frontendApiProxy: { enabled: Boolean(proxyUrl) } },
);

// Every address but files, and all that the emulator serves.
export const config = { matcher: ["/((?!_next|[^?]*\\.\\w+$).*)", "/__clerk/(.*)"] };
