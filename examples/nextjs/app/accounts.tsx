"use client";
import { useAuth, useClerk, useSessionList } from "@clerk/nextjs";

/** The accounts that are signed in to this browser: switch, add one, sign out. */
export function Accounts() {
  const { sessionId } = useAuth();
  const { sessions } = useSessionList();
  const clerk = useClerk();
  if (!sessions) return null;
  return (
    <>
      {sessions.map(({ id, user }) => (
        <button
          key={id}
          type="button"
          aria-pressed={id === sessionId}
          onClick={() => clerk.setActive({ session: id })}
        >
          {user?.primaryEmailAddress?.emailAddress ?? user?.id}
        </button>
      ))}
      <button type="button" onClick={() => clerk.redirectToSignIn()}>
        {sessions.length ? "Add account" : "Sign in"}
      </button>
      {sessionId && (
        <button type="button" onClick={() => clerk.signOut({ redirectUrl: "/" })}>
          Sign out
        </button>
      )}
    </>
  );
}
