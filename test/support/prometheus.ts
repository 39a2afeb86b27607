/** Debian's Prometheus on loopback, which asks what a test serves and answers a test's queries. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempDisposableSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { withParent } from '../../deploy/lab/command.ts'
import { eventually } from './eventually.ts'

export interface Target {
  readonly labels: Readonly<Record<string, string>>
  /** Called at each scrape. */
  readonly expose: () => Promise<string>
}

/** A series of an answer. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: string
}

export interface Prometheus extends AsyncDisposable {
  /** An instant query; throws what Prometheus has against it. */
  query(expr: string): Promise<readonly Sample[]>
}

/** Starts one that has asked every target three times, so that there are rates. */
export async function startPrometheus(targets: readonly Target[]): Promise<Prometheus> {
  await using undo = new AsyncDisposableStack()
  const folder = undo.use(mkdtempDisposableSync(join(tmpdir(), 'causeway-prometheus-')))
  const ports: number[] = []
  for (const { expose } of targets) ports.push(await serve(expose, undo))
  const configs = targets.map(({ labels }, i) => ({ targets: [`127.0.0.1:${ports[i]}`], labels }))
  const config = {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: [{ job_name: 'test', static_configs: configs }],
  }
  writeFileSync(join(folder.path, 'prometheus.yml'), stringify(config))
  const address = `127.0.0.1:${await freePort()}`
  const [file = '', ...args] = withParent([
    'prometheus',
    `--config.file=${join(folder.path, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder.path, 'data')}`,
    `--web.listen-address=${address}`,
  ])
  const child = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  undo.defer(() => stop(child))
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
  const query = (expr: string): Promise<readonly Sample[]> => ask(address, expr)
  const settled = async (): Promise<boolean> => {
    if (child.exitCode !== null) throw new Error(`prometheus ended:\n${log}`)
    const samples = await query('count_over_time(up[1m]) >= 3').catch(() => [])
    return samples.length === targets.length
  }
  await eventually(settled, { timeoutMs: 60_000, pollMs: 100 })
  const owned = undo.move()
  return { query, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

async function ask(address: string, expr: string): Promise<readonly Sample[]> {
  const response = await fetch(`http://${address}/api/v1/query?query=${encodeURIComponent(expr)}`)
  const { status, error, data } = (await response.json()) as {
    status: string
    error?: string
    data?: { resultType: string; result: { metric: Record<string, string>; value: [number, string] }[] }
  }
  if (status !== 'success' || data === undefined) throw new Error(`${expr}: ${error}`)
  if (data.resultType !== 'vector') throw new Error(`${expr} is no vector but a ${data.resultType}`)
  return data.result.map(({ metric, value }) => ({ metric, value: value[1] }))
}

async function serve(expose: () => Promise<string>, undo: AsyncDisposableStack): Promise<number> {
  const server = createServer((_, response) => {
    void expose().then(
      text => response.setHeader('content-type', 'text/plain; version=0.0.4').end(text),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  undo.defer(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return (server.address() as AddressInfo).port
}

/** Prometheus does not say which port it was given. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
