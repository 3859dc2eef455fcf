// The client as source in this tree: make client OUT=src/api.
import { useQuery } from "@tanstack/react-query";
import { byPage } from "./api";
import { listUsersOptions } from "./api/api";
import { ApiProvider, useApi } from "./api/react";

export function Copied() {
  return (
    <ApiProvider baseUrl="/" userId={null} getToken={async () => null}>
      <Users />
    </ApiProvider>
  );
}

function Users() {
  const { data } = useQuery(listUsersOptions({ client: useApi(), retries: 0 }));
  return <p>{data && byPage.getNextPageParam(data)}</p>;
}
