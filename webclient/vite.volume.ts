import { defineConfig } from "vite";

// Planes and volumes: fetched when they are chosen. One classic script with its style, ES2018.
export default defineConfig({
  publicDir: false,
  build: {
    target: "es2018",
    outDir: "dist/volume",
    emptyOutDir: true,
    lib: {
      entry: "src/volume/main.ts",
      formats: ["iife"],
      name: "cloudfilmVolume",
      fileName: () => "volume.js",
    },
  },
});
