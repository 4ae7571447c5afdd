import { defineConfig } from "vite";

// The viewer core: one classic script and one style sheet, no library, ES2018.
export default defineConfig({
  publicDir: false,
  build: {
    target: "es2018",
    outDir: "dist/viewer",
    emptyOutDir: true,
    cssCodeSplit: false,
    lib: {
      entry: "src/viewer/main.ts",
      formats: ["iife"],
      name: "cloudfilm",
      fileName: () => "viewer.js",
      cssFileName: "viewer",
    },
  },
});
