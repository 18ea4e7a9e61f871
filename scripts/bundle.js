/**
 * `npm run build`: the program as few files in dist/. Hundreds of modules, its own and its libraries', are otherwise looked
 * for and read one by one at each start. What is native, or large and seldom wanted, stays in node_modules.
 */

import { chmodSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const OUT = 'dist';
/** Chunks lie beside the worker thread, which is found relative to whoever starts it. */
const CHUNKS = 'app/engine';

const { metafile } = await build({
  entryPoints: ['src/cli/main.ts', 'src/app/engine/worker.ts'],
  outdir: OUT,
  outbase: 'src',
  bundle: true,
  splitting: true,
  chunkNames: `${CHUNKS}/[name]-[hash]`,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  sourcemap: 'linked',
  external: ['koffi', '@kubernetes/client-node', '@grpc/grpc-js'],
  // Libraries that are no ES modules ask for Node's own so.
  banner: {
    js: "import { createRequire as requireOf } from 'node:module'; const require = requireOf(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
});

/** Milliseconds. Programs that run load some of their files late. */
const KEPT = 3_600_000;

// What former builds left, and none that runs still wants.
const made = new Set(Object.keys(metafile.outputs).map(path => resolve(path)));
for (const entry of readdirSync(OUT, { recursive: true, withFileTypes: true })) {
  const path = resolve(join(entry.parentPath, entry.name));
  if (entry.isFile() && !made.has(path) && statSync(path).mtimeMs < Date.now() - KEPT) rmSync(path);
}
chmodSync(join(OUT, 'cli/main.js'), 0o755);
