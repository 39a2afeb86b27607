/** Connects to the port of the loopback address on the command line; prints `connected` or the error's code. */
import { connect } from 'node:net'

const socket = connect({ host: '127.0.0.1', port: Number(process.argv[2]) })
const say = (text: string): void => {
  process.stdout.write(text)
  socket.destroy()
}
socket.on('connect', () => say('connected'))
socket.on('error', (error: NodeJS.ErrnoException) => say(error.code ?? error.message))
