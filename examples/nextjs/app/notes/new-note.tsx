"use client";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ApiError } from "@/api";
import { createNoteMutation, listNotesQueryKey } from "@/api/api";
import { useApi } from "@/api/react";
import { describe } from "@/lib/failure";

/** A form whose rules are those of the serializer: the API names the field of each error. */
export function NewNote() {
  const client = useApi();
  const cache = useQueryClient();
  const create = useMutation({
    ...createNoteMutation({ client }),
    onSuccess: () => cache.invalidateQueries({ queryKey: listNotesQueryKey() }), // all pages
  });
  const fields = create.error instanceof ApiError ? create.error.fieldErrors() : {};
  const problem = fields.title?.[0] ?? (create.error && describe(create.error).title);
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const form = event.currentTarget;
        const title = String(new FormData(form).get("title"));
        create.mutate({ body: { title } }, { onSuccess: () => form.reset() });
      }}
    >
      <input name="title" aria-label="Title" aria-invalid={Boolean(problem)} aria-describedby="problem" />
      <button type="submit" disabled={create.isPending}>
        Add
      </button>
      {problem && (
        <p role="alert" id="problem">
          {problem}
        </p>
      )}
    </form>
  );
}
