"use client";
import { useClerk } from "@clerk/nextjs";
import { describe } from "@/lib/failure";

/** The error boundary of the page: each status has its advice, and none signs the user out by itself. */
export default function Failed({ error, retry }: { error: Error; retry: () => void }) {
  const clerk = useClerk();
  const { title, advice, action } = describe(error);
  const act = {
    retry,
    "sign in": () => clerk.redirectToSignIn(),
    "sign out": () => clerk.signOut({ redirectUrl: "/" }),
  }[action];
  return (
    <section role="alert">
      <h1>{title}</h1>
      <p>{advice}</p>
      <button type="button" onClick={() => act()}>
        {{ retry: "Try again", "sign in": "Sign in again", "sign out": "Use another account" }[action]}
      </button>
    </section>
  );
}
