import "server-only";
import { auth } from "@clerk/nextjs/server";
import { connection } from "next/server";
import { createServerApiClient } from "@/api";

/** Return the API as the signed-in user, for one request, or null for a visitor. */
export async function getApi() {
  await connection(); // never while Next.js prerenders or prefetches a page
  const { userId, getToken } = await auth();
  if (!userId) return null;
  const baseUrl = process.env.NEXT_PUBLIC_API_URL ?? "";
  return { userId, client: createServerApiClient({ baseUrl, userId, getToken: () => getToken() }) };
}
