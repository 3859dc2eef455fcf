import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    fileParallelism: false, // one file rotates the keys of all
    environmentOptions: { happyDOM: { url: `${process.env.CLERK_URL}/` } }, // pages are served by the stand-in
    testTimeout: 40_000,
    restoreMocks: true,
  },
});
