/** How many whole prefixes a subnet can still give, as far as can be told: no cloud says. Pure. */
import { covers, type IpPrefix, parseAddress, parsePrefix, widthOf } from '../../daemon/kernel/ip.ts'
import type { SeenNic, SeenSubnet } from './model.ts'

/** Length of prefixes, alike in all clouds. */
export const PREFIX_LENGTH = 28
const SIZE = 2 ** (32 - PREFIX_LENGTH)

/**
 * Aligned blocks of 16 in which nothing is known to be: no address of an interface that was seen, no end of the subnet,
 * which clouds keep for themselves, and nothing reserved for single addresses. Others' addresses are only counted: there
 * may be fewer, and no more than the free addresses have room for.
 */
export function wholePrefixes({ id, cidrs, reserved, free }: SeenSubnet, nics: readonly SeenNic[]): number {
  const ranges = cidrs.map(parsePrefix).filter(({ family, length }) => family === 4 && length <= PREFIX_LENGTH)
  const taken = new Set<number>()
  const take = (prefix: IpPrefix): void => {
    if (!ranges.some(range => covers(range, prefix))) return
    const [first, last] = ends(prefix)
    for (let block = first; block <= last; block++) taken.add(block)
  }
  let total = 0
  for (const range of ranges) {
    const [first, last] = ends(range)
    total += last - first + 1
    taken.add(first).add(last)
  }
  for (const { subnet, addresses, blocks } of nics) {
    if (subnet !== id) continue
    for (const address of addresses) {
      const { family, value } = parseAddress(address)
      take({ family, value, length: widthOf(family) })
    }
    for (const block of blocks) take(parsePrefix(block))
  }
  for (const { cidr, kind } of reserved) if (kind === 'explicit') take(parsePrefix(cidr))
  return Math.max(0, Math.min(total - taken.size, Math.floor(free / SIZE)))
}

/** Numbers of the first and the last block of 16 that a prefix reaches into. */
function ends({ value, length }: IpPrefix): readonly [first: number, last: number] {
  const first = Number(value)
  return [Math.floor(first / SIZE), Math.floor((first + 2 ** (32 - length) - 1) / SIZE)]
}
