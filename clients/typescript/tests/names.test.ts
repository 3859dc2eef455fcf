import { expect, it } from "vitest";
import { createNaming } from "../scripts/names.mjs";

it.each([
  ["notes_list", "list_notes"],
  ["notes_create", "create_note"],
  ["notes_retrieve", "get_note"],
  ["notes_update", "replace_note"],
  ["notes_partial_update", "update_note"],
  ["notes_destroy", "delete_note"],
  ["me_retrieve", "get_me"],
  ["session_retrieve", "get_session"],
  ["users_notes_list", "list_users_notes"],
  ["addresses_destroy", "delete_address"],
  ["categories_create", "create_category"],
  ["boxes_retrieve", "get_box"],
  ["statuses_retrieve", "get_status"],
  ["notices_retrieve", "get_notice"],
  ["analysis_retrieve", "get_analysis"],
  ["archiveNote", "archiveNote"],
  ["publish_note", "publish_note"],
  ["list", "list"],
])("%s becomes %s", (operationId, name) => {
  expect(createNaming()(operationId)).toBe(name);
});

it("two operations never get the same name", () => {
  const rename = createNaming();

  expect(["note_retrieve", "notes_retrieve"].map(rename)).toEqual(["get_note", "notes_retrieve"]);
});
