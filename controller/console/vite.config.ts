import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/**
 * The console is served below `/console/` by any controller, under a policy that lets nothing in from elsewhere. All its addresses
 * are relative: a proxy may have put a path before that.
 */
export default defineConfig({
  root: import.meta.dirname,
  base: './',
  plugins: [react()],
  build: {
    // A font as a data: URL would be refused by `font-src 'self'`.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // xterm.js and zod are most of it, and a controller is on the same machine or near.
    chunkSizeWarningLimit: 1_500,
  },
});
