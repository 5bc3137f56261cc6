import { defineConfig } from 'vitest/config';

// `har-jax export` lays a model next to these files: all in one folder, with addresses relative to it.
export default defineConfig({
  base: './',
  build: {
    outDir: '../har_jax/assets/web',
    emptyOutDir: true,
    assetsDir: '',
    assetsInlineLimit: 0, // an inlined file is a data: address, which the page's policy forbids
    modulePreload: false,
    target: 'es2022',
    rolldownOptions: {
      input: { page: 'index.html', service_worker: 'src/service_worker.ts' },
      output: {
        // A service worker is known by its address, so its name stays; other names change with the content.
        entryFileNames: (chunk) => (chunk.name === 'service_worker' ? '[name].js' : '[name]-[hash].js'),
      },
    },
  },
  test: {
    include: ['tests/*.test.ts'],
    globalSetup: 'tests/setup.ts',
    testTimeout: 120_000,
    hookTimeout: 300_000,
    fileParallelism: false, // one browser at a time
  },
});
