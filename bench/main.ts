// `npm run bench -- NAME [options]`: runs one bench by name.

const BENCHES: Record<string, () => Promise<{ run(args: string[]): Promise<number> }>> = {
  proxy: () => import('./proxy.js'),
  soak: () => import('./soak.js'),
  supervise: () => import('./supervise.js'),
}

const [name = '', ...args] = process.argv.slice(2)
const load = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined
if (load === undefined) {
  process.stderr.write(`usage: npm run bench -- NAME [options]; NAME is one of: ${Object.keys(BENCHES).join(', ')}\n`)
  process.exitCode = 2
} else {
  process.exitCode = await (await load()).run(args)
}
