/** A document whose `console` blocks are commands and what they print: carried out again, and compared. */
import { runCommand } from '../../deploy/lab/command.ts'

export interface Transcript {
  /** What a command line becomes before it is run by sh(1); `place` is empty, or such as `node1`. */
  readonly line: (command: string, place: string) => string
  /** Takes out what differs from run to run. */
  readonly steady: (text: string) => string
  readonly signal: AbortSignal
}

/** The document with the output of each command as it is now, steady. A command that fails shows its status. */
export async function carryOut(document: string, transcript: Transcript): Promise<string> {
  const parts = document.split(/^(```console\n[\s\S]*?^```\n)/m)
  const done: string[] = []
  for (const part of parts) done.push(part.startsWith('```console') ? await carryOutBlock(part, transcript) : part)
  return done.join('')
}

async function carryOutBlock(block: string, { line, steady, signal }: Transcript): Promise<string> {
  const printed: string[] = []
  for (const text of block.split('\n')) {
    const [, place = '', command] = /^(?:\[(\w+)\])?\$ (.*)$/.exec(text) ?? []
    if (command === undefined) continue
    const { status, stdout, stderr } = await runCommand(['sh', '-c', line(command, place)], {
      signal,
      env: process.env,
    })
    const failure = status === 0 ? '' : `(status ${status})\n${stderr}`
    printed.push(`${text}\n${steady(stdout + failure)}`)
  }
  return `\`\`\`console\n${printed.join('')}\`\`\`\n`
}
