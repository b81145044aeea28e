import { defineConfig } from "vite";

// Django serves what is built here as static files, by these names.
export default defineConfig({
  base: "/static/",
  build: {
    target: "es2022",
    cssCodeSplit: false,
    modulePreload: false,
    rollupOptions: {
      input: "src/main.tsx",
      output: { entryFileNames: "page.js", assetFileNames: "page[extname]", inlineDynamicImports: true },
    },
  },
});
