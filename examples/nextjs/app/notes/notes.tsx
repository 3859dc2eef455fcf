"use client";
import { type InfiniteData, useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { byPage, isTransient } from "@/api";
import {
  deleteNoteMutation,
  listNotesInfiniteOptions,
  listNotesInfiniteQueryKey,
  listNotesQueryKey,
  type PaginatedNoteList,
} from "@/api/api";
import { useApi } from "@/api/react";
import { describe } from "@/lib/failure";
import { NewNote } from "./new-note";

const query = { page_size: 10 };

export function Notes() {
  const client = useApi();
  const notes = useInfiniteQuery({
    ...listNotesInfiniteOptions({ client, query }),
    ...byPage,
    // To error.tsx, but what is loaded stays visible during an outage.
    throwOnError: (error, { state }) => !state.data || !isTransient(error),
  });
  const remove = useDelete();
  return (
    <>
      <NewNote />
      {notes.isError && <p role="alert">{describe(notes.error).title}. The list may be out of date.</p>}
      {remove.isError && <p role="alert">The note was not deleted: {describe(remove.error).title}.</p>}
      {notes.isPending && <p>Loading ...</p>}
      <ul>
        {notes.data?.pages
          .flatMap(({ results }) => results)
          .map(({ id, title }) => (
            <li key={id}>
              <span>{title}</span>
              <button
                type="button"
                aria-label={`Delete ${title}`}
                onClick={() => remove.mutate({ path: { id } })}
              >
                Delete
              </button>
            </li>
          ))}
      </ul>
      {notes.data?.pages[0]?.count === 0 && <p>You have no notes yet.</p>}
      {notes.hasNextPage && (
        <button type="button" disabled={notes.isFetchingNextPage} onClick={() => notes.fetchNextPage()}>
          More
        </button>
      )}
    </>
  );
}

/** Delete a note: it leaves the list at once, and returns if the API refuses. */
function useDelete() {
  const client = useApi();
  const cache = useQueryClient();
  const queryKey = listNotesInfiniteQueryKey({ client, query });
  return useMutation({
    ...deleteNoteMutation({ client }),
    onMutate: async ({ path }) => {
      await cache.cancelQueries({ queryKey });
      const before = cache.getQueryData<InfiniteData<PaginatedNoteList>>(queryKey);
      const pages = before?.pages.map((page) => ({
        ...page,
        results: page.results.filter(({ id }) => id !== path.id),
      }));
      if (before && pages) cache.setQueryData(queryKey, { ...before, pages });
      return { before };
    },
    onError: (_error, _note, context) => cache.setQueryData(queryKey, context?.before),
    onSettled: () => cache.invalidateQueries({ queryKey: listNotesQueryKey() }),
  });
}
