/**
 * `npm run check`: what can be said about the tree without running it. Types, lint, layout of TypeScript and C, and
 * whether generated files match their sources. Prints one line a check with its seconds, and the output of those
 * that failed.
 */
import { spawn } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

interface Check {
  readonly name: string
  readonly command: readonly string[]
}

/** C that people wrote; eBPF objects' generated headers would carry `.gen` in their name. */
function cFiles(): string[] {
  const found = globSync('{bpf,cni,deploy,test}/**/*.{c,h}', {
    cwd: ROOT,
    exclude: path => path.includes('node_modules') || path.includes('.gen.'),
  })
  return found.sort()
}

function checks(): Check[] {
  const bin = (name: string): string => join(ROOT, 'node_modules/.bin', name)
  const all: Check[] = [
    { name: 'types', command: [bin('tsc'), '-p', '.'] },
    { name: 'lint', command: [bin('oxlint'), '--type-aware', '--deny-warnings'] },
    { name: 'format', command: [bin('biome'), 'format', '.'] },
    { name: 'format of C', command: ['clang-format-19', '--dry-run', '--Werror', ...cFiles()] },
  ]
  const generated = { name: 'generated files', command: [process.execPath, 'bpf/gen/main.ts', '--check'] }
  return existsSync(join(ROOT, 'bpf/gen/main.ts')) ? [...all, generated] : all
}

/** Runs one check; true when it passed. */
async function runCheck(check: Check): Promise<boolean> {
  const started = performance.now()
  const [file = '', ...args] = check.command
  const child = spawn(file, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  const output: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk))
  const status = await new Promise<number>(done => {
    child.on('error', error => {
      output.push(Buffer.from(`${error.message}\n`))
      done(127)
    })
    child.on('close', code => done(code ?? 1))
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`${status === 0 ? '✔' : '✖'} ${check.name} (${seconds} s)\n`)
  if (status !== 0) process.stdout.write(Buffer.concat(output))
  return status === 0
}

let failed = 0
for (const check of checks()) if (!(await runCheck(check))) failed++
process.stdout.write(failed === 0 ? 'all checks passed\n' : `${failed} checks failed\n`)
process.exitCode = failed === 0 ? 0 : 1
