// The client as an installed package.
import { useQuery } from "@tanstack/react-query";
import { ApiError } from "django-clerk-sync-client";
import { getMeOptions, type User, zUser } from "django-clerk-sync-client/api";
import { ApiProvider, useApi } from "django-clerk-sync-client/react";

export function App() {
  return (
    <ApiProvider baseUrl="http://127.0.0.1:8000" userId="user_1" getToken={async () => null} retries={1}>
      <Me />
    </ApiProvider>
  );
}

function Me() {
  const { data, error } = useQuery(getMeOptions({ client: useApi(), timeout: 1000 }));
  const known: User | undefined = zUser.safeParse(data).data;
  const messages = error instanceof ApiError ? error.fieldErrors() : {};
  return <p>{known?.email ?? error?.message ?? messages.email?.[0] ?? "loading"}</p>;
}
