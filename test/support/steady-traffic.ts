/**
 * Traffic at a steady rate to echo servers. Arguments: `lasting` or `requests`, and a JSON list of `Target`s. `lasting` holds
 * a connection and a stream of numbered datagrams to each, `requests` opens a connection for each request. Prints `begun`
 * once all have been answered, and at SIGTERM, when what is under way has had its time, a JSON list of `TargetResult`s.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface Target {
  readonly name: string
  readonly address: string
  readonly port: number
}
/** What one target saw. */
export interface TargetResult {
  readonly name: string
  /** Messages, datagrams and requests that were sent. */
  readonly sent: number
  /** What went wrong, each once. */
  readonly failures: readonly string[]
  /** Of all answers the slowest. */
  readonly slowestMs: number
}

const MESSAGE_MS = 20
const DATAGRAM_MS = 20
const REQUEST_MS = 50
/** What is not answered for so long is lost. */
const LIMIT_MS = 5000

const [mode = '', list = ''] = process.argv.slice(2)
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
const { signal } = stopping

/** Counts what is under way to one target. */
class Watch {
  readonly target: Target
  readonly failures = new Set<string>()
  sent = 0
  slowestMs = 0
  readonly #open = new Map<string, number>()
  readonly #first = Promise.withResolvers<void>()

  constructor(target: Target) {
    this.target = target
  }
  /** Once something has been answered. */
  get begun(): Promise<void> {
    return this.#first.promise
  }
  send(what: string): void {
    this.sent++
    this.#open.set(what, performance.now())
  }
  answer(what: string): void {
    const since = this.#open.get(what)
    if (since === undefined) this.failures.add(`${what} was answered twice or never sent`)
    else this.slowestMs = Math.max(this.slowestMs, performance.now() - since)
    this.#open.delete(what)
    this.#first.resolve()
  }
  /** Waits for what is under way; the rest is lost. */
  async result(): Promise<TargetResult> {
    for (let left = LIMIT_MS; left > 0 && this.#open.size > 0; left -= 10) await delay(10)
    const lost = [...this.#open.keys()]
    const { sent, slowestMs, failures, target } = this
    if (lost.length > 0) failures.add(`${lost.length} of ${sent} were lost: ${lost.slice(0, 5).join(', ')}`)
    return { name: target.name, sent, failures: [...failures], slowestMs }
  }
}

/** Calls `send` so often until the program is to stop. */
async function steadily(periodMs: number, send: () => void): Promise<void> {
  for (let next = performance.now(); !signal.aborted; next += periodMs) {
    send()
    await delay(Math.max(0, next + periodMs - performance.now()), undefined, { signal }).catch(() => {})
  }
}

async function holdConnection(watch: Watch): Promise<void> {
  const { address, port } = watch.target
  const socket = connect({ host: address, port, noDelay: true })
  let number = 0
  let received = Buffer.alloc(0)
  socket.on('error', error => watch.failures.add(`the connection broke: ${error.message}`))
  socket.on('end', () => watch.failures.add('the connection was closed'))
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk])
    for (; received.length >= 4; received = received.subarray(4)) watch.answer(`message ${received.readUInt32BE(0)}`)
  })
  await once(socket, 'connect')
  await steadily(MESSAGE_MS, () => {
    const content = Buffer.alloc(4)
    content.writeUInt32BE(++number)
    watch.send(`message ${number}`)
    socket.write(content)
  })
}

async function sendDatagrams(watch: Watch): Promise<void> {
  const { address, port } = watch.target
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  let number = 0
  socket.on('error', error => watch.failures.add(error.message))
  socket.on('message', content => watch.answer(`datagram ${content.readUInt32BE(0)}`))
  socket.connect(port, address)
  await once(socket, 'connect')
  await steadily(DATAGRAM_MS, () => {
    const content = Buffer.alloc(64)
    content.writeUInt32BE(++number)
    watch.send(`datagram ${number}`)
    socket.send(content, error => error && watch.failures.add(error.message))
  })
}

/** Opens a connection, has it echo, closes it. */
function request(watch: Watch, what: string): void {
  const { address, port } = watch.target
  watch.send(what)
  const socket: Socket = connect({ host: address, port, noDelay: true })
  socket.on('error', error => watch.failures.add(`${what}: ${error.message}`))
  socket.once('connect', () => socket.write('ask'))
  socket.once('data', () => {
    watch.answer(what)
    socket.end()
  })
}

async function sendRequests(watch: Watch): Promise<void> {
  let number = 0
  await steadily(REQUEST_MS, () => request(watch, `request ${++number}`))
}

const targets = JSON.parse(list) as readonly Target[]
const running: Promise<void>[] = []
const watches: Watch[] = []
function start(name: string, target: Target, work: (watch: Watch) => Promise<void>): void {
  const watch = new Watch({ ...target, name: `${target.name}, ${name}` })
  watches.push(watch)
  running.push(work(watch))
}
for (const target of targets) {
  if (mode === 'requests') start('requests', target, sendRequests)
  else {
    start('a connection', target, holdConnection)
    start('datagrams', target, sendDatagrams)
  }
}
await Promise.all(watches.map(watch => watch.begun))
console.log('begun')
await Promise.all(running)
const results = await Promise.all(watches.map(watch => watch.result()))
console.log(JSON.stringify(results))
process.exit()
