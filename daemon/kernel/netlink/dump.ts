import { readAck } from './ack.ts'
import { NLM_F, NLMSG } from './constants.ts'
import type { Received } from './message.ts'
import { NetlinkError } from './netlink-error.ts'

/**
 * Reads the answer to a dump request with that sequence number to its end. `receive` gives a datagram's messages,
 * `overrun` when some were lost and undefined when there are none. Undefined when the list is not to be trusted and the
 * dump has to begin again: it changed while it was read (NLM_F_DUMP_INTR), or part of it was lost. Throws NetlinkError.
 */
export function collectDump(
  receive: () => readonly Received[] | 'overrun' | undefined,
  sequence: number,
  attempt: string,
): Received[] | undefined {
  const found: Received[] = []
  let whole = true
  for (let messages = receive(); messages !== undefined; messages = receive()) {
    if (messages === 'overrun') whole = false
    else {
      for (const message of messages.filter(m => m.sequence === sequence)) {
        if ((message.flags & NLM_F.DUMP_INTR) !== 0) whole = false
        const end = readAck(message)
        if (end && end.errno !== 0) throw new NetlinkError(attempt, end.errno, end.kernelText)
        // An interrupted dump is read to its end all the same: the kernel refuses a second one before.
        if (end) return whole ? found : undefined
        if (message.type !== NLMSG.NOOP) found.push(message)
      }
    }
  }
  return undefined
}
