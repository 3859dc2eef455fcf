"use client";
import { useAuth } from "@clerk/nextjs";
import type { ReactNode } from "react";
import { ApiProvider } from "@/api/react";

/** The API and the cache of the signed-in user: with another user, everything below starts anew and empty. */
export function Providers({ children }: { children: ReactNode }) {
  const { isLoaded, userId, getToken } = useAuth();
  if (!isLoaded) return <p>Loading ...</p>; // until then getToken returns null, as after a sign-out
  if (!userId) return <p>You are signed out.</p>;
  return (
    <ApiProvider baseUrl={process.env.NEXT_PUBLIC_API_URL ?? ""} userId={userId} getToken={getToken}>
      {children}
    </ApiProvider>
  );
}

/** Show what a server rendered for a user to that user alone: after a switch it is replaced a moment later. */
export function OnlyFor({ userId, children }: { userId: string; children: ReactNode }) {
  return useAuth().userId === userId ? children : null;
}
