import { defineConfig } from "@playwright/test";

// CHROMIUM=/usr/bin/chromium uses an installed browser; without it: npx playwright install chromium.
const { BASE_URL = "http://localhost:3000", CHROMIUM } = process.env;

export default defineConfig({
  testDir: "tests",
  use: {
    baseURL: BASE_URL,
    launchOptions: CHROMIUM ? { executablePath: CHROMIUM, args: ["--no-sandbox"] } : {},
  },
});
