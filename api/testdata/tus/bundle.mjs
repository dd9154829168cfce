// Bundles page.mjs with its packages as installed: node bundle.mjs OUTPUT
import { createRequire } from 'node:module'
import { join } from 'node:path'

const modules = process.env.PHOTOVAULT_NODE_MODULES
const { build } = createRequire(join(modules, 'none.js'))('esbuild')
await build({ entryPoints: [join(import.meta.dirname, 'page.mjs')], outfile: process.argv[2], bundle: true, format: 'esm', nodePaths: [modules], logLevel: 'error' })
