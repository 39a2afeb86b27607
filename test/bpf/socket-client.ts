/**
 * Run in a namespace and a cgroup of the test: speaks to an address as `socket-client.ts tcp|udp|udp-connected ADDRESS PORT
 * [LOCAL-PORT]` and prints as JSON what came back, and whom the socket believes to have spoken to; or binds to it as
 * `socket-client.ts bind-tcp|bind-udp ADDRESS PORT`.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'

const [kind, address = '', port, localPort] = process.argv.slice(2)
const TEXT = 'who are you?'

interface Spoken {
  readonly answer: string
  readonly peer: string
}

async function byTcp(): Promise<Spoken> {
  const socket = connect({ port: Number(port), host: address, ...(localPort ? { localPort: Number(localPort) } : {}) })
  await once(socket, 'connect')
  const peer = `${socket.remoteAddress} ${socket.remotePort}`
  socket.write(TEXT)
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return { answer: answer.toString(), peer }
}

async function byUdp(connected: boolean): Promise<Spoken> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  const answered = once(socket, 'message')
  // Without a callback a refusal of send is told to nobody.
  await new Promise<void>((resolve, reject) => {
    const sent = (error?: Error | null): void => (error ? reject(error) : resolve())
    if (!connected) socket.send(TEXT, Number(port), address, sent)
    else
      socket.connect(Number(port), address, ((error?: Error) =>
        error ? sent(error) : socket.send(TEXT, sent)) as () => void)
  }).finally(() => void answered.catch(() => undefined))
  const [answer, from] = (await answered) as [Buffer, { address: string; port: number }]
  socket.close()
  return { answer: answer.toString(), peer: `${from.address} ${from.port}` }
}

async function bind(): Promise<Spoken> {
  if (kind === 'bind-tcp') {
    const server = createServer().listen(Number(port), address)
    await once(server, 'listening')
    server.close()
  } else {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    socket.bind(Number(port), address)
    await once(socket, 'listening')
    socket.close()
  }
  return { answer: 'bound', peer: '' }
}

try {
  const binds = kind === 'bind-tcp' || kind === 'bind-udp'
  const spoken = await (binds ? bind() : kind === 'tcp' ? byTcp() : byUdp(kind === 'udp-connected'))
  process.stdout.write(JSON.stringify(spoken))
} catch (error) {
  process.stdout.write(JSON.stringify({ answer: '', peer: '', error: (error as NodeJS.ErrnoException).code }), () =>
    process.exit(),
  )
}
