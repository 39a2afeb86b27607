/** helm itself, for the tests that compare with it. */
import { execFile } from 'node:child_process'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { stringify } from 'yaml'
import { noKubernetesTools } from './kubernetes-tools.ts'
import { YAML } from '../../deploy/helm/template-run.ts'
import type { Values } from '../../deploy/helm/values.ts'

/** Where the set-up of tests puts it. */
const HELM = join(import.meta.dirname, '../../build/kubernetes/helm')

/** Options of tests that need it. */
export const needsHelm = { skip: noKubernetesTools ?? false }

export interface HelmRun {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** Runs helm in a folder of the project with nothing of the user's configuration, and with values in a file, if any. */
export async function runHelm(args: readonly string[], values?: Values, env: object = {}): Promise<HelmRun> {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'causeway-helm-'))
  const file = join(folder.path, 'values.yaml')
  if (values) writeFileSync(file, stringify(values, YAML))
  const options = {
    cwd: join(import.meta.dirname, '../..'),
    env: { PATH: process.env.PATH, HOME: folder.path, ...env },
    maxBuffer: 1 << 26,
  }
  try {
    const { stdout, stderr } = await promisify(execFile)(
      HELM,
      [...args, ...(values ? ['--values', file] : [])],
      options,
    )
    return { status: 0, out: stdout, err: stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code?: number; stdout: string; stderr: string }
    return { status: code ?? 1, out: stdout, err: stderr }
  }
}
