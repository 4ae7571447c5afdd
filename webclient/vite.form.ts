import { defineConfig } from "vite";

// What the code form does beside its HTML: one classic script of a few hundred bytes, ES2018.
export default defineConfig({
  publicDir: false,
  build: {
    target: "es2018",
    outDir: "dist/form",
    emptyOutDir: true,
    lib: {
      entry: "src/pages/form/main.ts",
      formats: ["iife"],
      name: "cloudfilmForm",
      fileName: () => "form.js",
    },
  },
});
