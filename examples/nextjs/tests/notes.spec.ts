import { expect, test } from "@playwright/test";

// `make example` runs meanwhile. On the emulator a click signs in.
test("a user signs in, adds a note and deletes it", async ({ page }) => {
  const title = `Note ${Date.now()}`;
  await page.goto("/notes");
  await page.getByRole("button", { name: "Ada" }).click();
  await expect(page.locator("#owner")).toContainText("ada@example.test");

  await page.getByRole("button", { name: "Add", exact: true }).click();
  await expect(page.locator("#problem")).toHaveText("This field may not be blank.");

  await page.getByLabel("Title").fill(title);
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await expect(page.getByText(title, { exact: true })).toBeVisible();
  await expect(page.locator("#problem")).toBeHidden();

  await page.getByRole("button", { name: `Delete ${title}` }).click();
  await expect(page.getByText(title, { exact: true })).toBeHidden();
});
