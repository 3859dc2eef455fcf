import { Suspense } from "react";
import { createUserEndpoints } from "@/api";
import { describe } from "@/lib/failure";
import { getApi } from "@/lib/server";
import { OnlyFor, Providers } from "../providers";
import { Notes } from "./notes";

export default function Page() {
  return (
    <>
      <h1>Your notes</h1>
      <Suspense fallback={<p>Loading ...</p>}>
        <Owner />
      </Suspense>
      <Providers>
        <Notes />
      </Providers>
      <p>
        <a href="/api/export">Export as text</a>
      </p>
    </>
  );
}

/** A server component that calls the API. Without <Suspense> around it, `next build` fails. */
async function Owner() {
  const api = await getApi();
  if (!api) return null;
  // An error boundary in the browser would get no status: Next.js keeps errors of the server to itself.
  const text = await createUserEndpoints(api.client)
    .me()
    .then(
      (me) => `${me.first_name} <${me.email}>, a user of this API since ${me.created_at.slice(0, 10)}`,
      (error: unknown) => describe(error).title,
    );
  return (
    <OnlyFor userId={api.userId}>
      <p id="owner">{text}</p>
    </OnlyFor>
  );
}
