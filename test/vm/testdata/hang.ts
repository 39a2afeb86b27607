/** Boots a guest that waits for ever, of the kernel and in the folder given as JSON; killed by the test that started it. */
import { runGuest } from '../boot.ts'
import type { Kernel } from '../kernel-cache.ts'

const given = JSON.parse(process.argv[2] ?? '') as { kernel: Kernel; shared: string; folder: string }
await runGuest({
  ...given,
  command: ['sleep', '1000'],
  cwd: '/',
  env: {},
  memoryMiB: 512,
  limitMs: 100_000,
  countInstructions: false,
  signal: new AbortController().signal,
})
