import { defineConfig } from "vite";

// Exact values: fetched after the viewer. One classic script for the page, one for its workers, ES2018.
const worker = process.env["CLOUDFILM_ENTRY"] === "worker";

export default defineConfig({
  publicDir: false,
  resolve: {
    alias: {
      fs: `${import.meta.dirname}/src/values/nothing.ts`,
      path: `${import.meta.dirname}/src/values/nothing.ts`,
    },
  },
  build: {
    target: "es2018",
    outDir: "dist/values",
    emptyOutDir: !worker,
    lib: {
      entry: worker ? "src/values/worker.ts" : "src/values/main.ts",
      formats: ["iife"],
      name: "cloudfilmValues",
      fileName: () => (worker ? "values-worker.js" : "values.js"),
    },
  },
});
