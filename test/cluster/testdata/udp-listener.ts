/**
 * `udp-listener.ts ADDRESS PORT`: a connected datagram socket that asks until it is answered, and tells what becomes of it:
 * `answered`, then `ended CODE`.
 */
import { createSocket } from 'node:dgram'

const [address = '', port] = process.argv.slice(2)
const ASK_MS = 50
const socket = createSocket('udp4')
let timer: NodeJS.Timeout | undefined
const say = (line: string): void => void process.stdout.write(`${line}\n`)

socket.once('message', () => {
  clearInterval(timer)
  say('answered')
})
socket.on('error', (error: NodeJS.ErrnoException) => {
  say(`ended ${error.code}`)
  process.exit()
})
socket.connect(Number(port), address, () => {
  timer = setInterval(() => socket.send('anybody?'), ASK_MS)
})
