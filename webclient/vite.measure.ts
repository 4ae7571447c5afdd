import { defineConfig } from "vite";

// Measuring: fetched when a tool is chosen or a link has measurements. One classic script with its style, ES2018.
export default defineConfig({
  publicDir: false,
  build: {
    target: "es2018",
    outDir: "dist/measure",
    emptyOutDir: true,
    lib: {
      entry: "src/measure/main.ts",
      formats: ["iife"],
      name: "cloudfilmMeasure",
      fileName: () => "measure.js",
    },
  },
});
