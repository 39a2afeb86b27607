/** Creating maps and asking the kernel about them. */
import { readFileSync } from 'node:fs'
import { mapType, type MapType, nameOf } from './codes.ts'
import { bpf, objectInfo, readName, writeName } from './syscall.ts'

/** What a map is to be. Sizes in bytes; `flags` from `mapFlag`. */
export interface MapSpec {
  readonly type: MapType
  /** Shown by the kernel, cut to 15 bytes. */
  readonly name: string
  readonly keySize: number
  /** Of one value: of a per-CPU map that of one CPU. */
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags?: number
  /** Descriptor of a map with the layout of the inner ones; needed for maps of maps. */
  readonly innerMapFd?: number
}

export interface MapInfo {
  readonly id: number
  /** `other` is a type this layer does not use. */
  readonly type: MapType | 'other'
  readonly name: string
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags: number
}

/** Creates a map; the caller owns the descriptor. Throws BpfError. */
export function createMap(spec: MapSpec): number {
  return bpf('MAP_CREATE', `map ${spec.name}`, 72, attr => {
    attr.setUint32(0, mapType[spec.type], true)
    attr.setUint32(4, spec.keySize, true)
    attr.setUint32(8, spec.valueSize, true)
    attr.setUint32(12, spec.maxEntries, true)
    attr.setUint32(16, spec.flags ?? 0, true)
    attr.setUint32(20, spec.innerMapFd ?? 0, true)
    writeName(attr, 28, spec.name)
  })
}

/** struct bpf_map_info up to its name. */
export function mapInfo(fd: number): MapInfo {
  return objectInfo(`map at descriptor ${fd}`, fd, 40, info => ({
    type: nameOf(mapType, info.getUint32(0, true)) ?? 'other',
    id: info.getUint32(4, true),
    keySize: info.getUint32(8, true),
    valueSize: info.getUint32(12, true),
    maxEntries: info.getUint32(16, true),
    flags: info.getUint32(20, true),
    name: readName(info, 24),
  }))
}

/** Bytes of one value between user space and kernel (`bpf_map_value_size`). */
export function transferSize(info: MapInfo, cpus: number): number {
  return isPerCpu(info) ? ((info.valueSize + 7) & ~7) * cpus : info.valueSize
}

export function isPerCpu(info: Pick<MapInfo, 'type'>): boolean {
  return info.type === 'percpu-hash' || info.type === 'percpu-array' || info.type === 'lru-percpu-hash'
}

/** Number of CPUs the kernel may ever run on: the number of values of a per-CPU map. */
export function possibleCpus(): number {
  return countCpuList(readFileSync('/sys/devices/system/cpu/possible', 'utf8'))
}

/** Counts a CPU list such as `0-3,8` (cpuset(7), list format). */
export function countCpuList(list: string): number {
  return list
    .trim()
    .split(',')
    .map(range => range.split('-').map(Number))
    .reduce((sum, [first = 0, last = first]) => sum + last - first + 1, 0)
}
