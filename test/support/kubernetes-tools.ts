/** kubectl and helm, which the set-up puts into build/kubernetes on x64 (deploy/setup/kubernetes-tools.mjs). */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const FOLDER = fileURLToPath(new URL('../../build/kubernetes/', import.meta.url))

/** Why they are not there; undefined where they are, which is a reason for a test to fail and not to be skipped. */
export const noKubernetesTools =
  process.arch === 'x64' ? undefined : 'the package of kubectl and helm has them for x64 alone'

export interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Both tools with a folder for their files and a kubeconfig. */
export interface KubernetesTools extends AsyncDisposable {
  readonly folder: string
  kubectl(...args: readonly string[]): Promise<Ran>
  helm(...args: readonly string[]): Promise<Ran>
  /** The path of a file with this text. */
  file(name: string, text: string): Promise<string>
}

export async function kubernetesTools(kubeconfig: string): Promise<KubernetesTools> {
  const folder = await mkdtemp(join(tmpdir(), 'causeway-kubernetes-'))
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
  const env = { PATH: process.env['PATH'], HOME: folder, KUBECONFIG: await file('kubeconfig', kubeconfig) }
  const run = (program: string, args: readonly string[]): Promise<Ran> =>
    new Promise((resolve, reject) => {
      execFile(join(FOLDER, program), args, { env, timeout: 60_000 }, (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== 'number') reject(error)
        else resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr })
      })
    })
  return {
    folder,
    kubectl: (...args) => run('kubectl', args),
    helm: (...args) => run('helm', args),
    file,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
}
