import { ApiError } from "@/api";
import { listNotes } from "@/api/api";
import { getApi } from "@/lib/server";

/** A route handler: the newest notes of the user as text. An error of the API keeps its status. */
export async function GET(): Promise<Response> {
  const api = await getApi();
  if (!api) return new Response("Sign in first.\n", { status: 401 });
  try {
    const { data } = await listNotes({ client: api.client, query: { page_size: 100 }, throwOnError: true });
    return new Response(data.results.map(({ title }) => `${title}\n`).join(""));
  } catch (error) {
    const status = error instanceof ApiError ? error.status : 503;
    return new Response("The notes cannot be exported now.\n", { status });
  }
}
