import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    fileParallelism: false, // one file rotates the signing keys that all files use
    environmentOptions: { happyDOM: { url: `${process.env.CLERK_URL}/` } }, // the emulator serves the pages
    testTimeout: 40_000,
    restoreMocks: true,
  },
});
