import { defineConfig } from "vite";

// Django serves what is built here as static files, by these names.
const named = ({ names }: { names: string[] }) => (names[0]?.endsWith(".css") ? "page.css" : "[name][extname]");

export default defineConfig({
  base: "/static/",
  build: {
    target: "es2022",
    cssCodeSplit: false,
    modulePreload: false,
    rollupOptions: {
      input: "src/main.tsx",
      output: { entryFileNames: "page.js", assetFileNames: named },
    },
  },
});
