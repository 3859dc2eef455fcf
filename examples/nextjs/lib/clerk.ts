// The emulator has no address of its own for browsers: Clerk's middleware forwards /__clerk to it.
const isEmulator = Boolean(process.env.CLERK_FAPI_URL);

export const proxyUrl = isEmulator ? "/__clerk" : undefined;
export const signInUrl = isEmulator ? "/__clerk/sign-in" : undefined;
