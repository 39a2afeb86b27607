/** Names of requests to make an interface. Pure. */
import { createHash } from 'node:crypto'

/** The `n`th of a node: the same from every leader, and as long as EC2 lets a client token be (64 characters). */
export function tokenOf(uid: string, n: number): string {
  return createHash('sha256').update(`${uid} ${n}`).digest('hex').slice(0, 32)
}
