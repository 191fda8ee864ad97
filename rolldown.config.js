import { readFileSync } from 'node:fs';
import { defineConfig } from 'rolldown';

const { exports, bin } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'));
const entries = [...Object.values(exports), ...Object.values(bin)]
  .filter((file) => file.endsWith('.js'))
  .map((file) => /^(?:\.\/)?dist\/(.+)\.js$/.exec(file)[1]);

export default defineConfig({
  input: Object.fromEntries(entries.map((entry) => [entry, `${entry}.ts`])),
  platform: 'node',
  // Packages stay what the user installed; only our own files are joined.
  external: /^[^./]/,
  output: {
    dir: 'dist',
    chunkFileNames: 'chunks/[name]-[hash].js',
    sourcemap: true,
    // What every entry shares would else be a file each, by who shares it: an import is as slow as the files it opens are many.
    codeSplitting: { groups: [{ name: 'domain', test: /\/src\/(domain|contracts|errors|deadline)/ }] },
  },
});
