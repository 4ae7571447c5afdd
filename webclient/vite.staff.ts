import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// Staff pages: Vue 3, one document.
export default defineConfig({
  plugins: [vue()],
  base: "/",
  build: {
    target: "es2018",
    outDir: "dist/staff",
    emptyOutDir: true,
    rollupOptions: { input: "staff.html" },
  },
});
