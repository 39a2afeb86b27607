/** Which of Debian's cloud kernels an expression means, among the packages that the mirror offers. Pure. */

/** What `npm run test:vm` runs when no kernel is named: the floor, today's stable release, and what came last. */
export const DEFAULT_KERNELS = ['6.1', '6.12', 'newest'] as const
/** Kernels that every mirror of Debian has: their absence is a failure unless the mirror is away. */
export const REQUIRED_KERNELS: readonly string[] = ['6.1', '6.12']

const PACKAGE = /^linux-image-(\d\S*-cloud-amd64)$/
const EXPRESSION = /^(newest|\d+(\.\d+)+)$/

/** Throws an Error for people. */
export function checkExpression(text: string): void {
  if (EXPRESSION.test(text)) return
  throw new Error(`no kernel '${text}': name a version such as 6.1, 6.12 or 6.12.9, or 'newest'`)
}

/** Releases (as `uname -r` tells them) of the kernels among package names, the newest first. */
export function offeredReleases(packages: readonly string[]): string[] {
  const releases = packages.flatMap(name => PACKAGE.exec(name)?.[1] ?? [])
  return releases.sort((a, b) => compareReleases(b, a))
}

/** The newest of `releases`, which are sorted so, that the expression means. */
export function newestMatch(expression: string, releases: readonly string[]): string | undefined {
  if (expression === 'newest') return releases[0]
  return releases.find(release => release.startsWith(`${expression}.`) || release.startsWith(`${expression}+`))
}

/** From 7.3 on the image package only depends on the ones that hold the kernel and its modules. */
export function packagesOf(release: string, packages: readonly string[]): string[] {
  const split = [`linux-binary-${release}`, `linux-modules-${release}`]
  return split.every(name => packages.includes(name)) ? split : [`linux-image-${release}`]
}

/** Major and minor number, such as `6.12`. */
export function seriesOf(release: string): string {
  return release.split('.').slice(0, 2).join('.')
}

export function isBelowFloor(release: string): boolean {
  const [major = 0, minor = 0] = numbersOf(release)
  return major < 6 || (major === 6 && minor < 1)
}

/** Number by number: `6.1.0-9` comes before `6.1.0-56`. */
export function compareReleases(a: string, b: string): number {
  const [left, right] = [numbersOf(a), numbersOf(b)]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? -1) - (right[i] ?? -1)
    if (difference !== 0) return difference
  }
  return 0
}

function numbersOf(release: string): number[] {
  return (release.replace('-cloud-amd64', '').match(/\d+/g) ?? []).map(Number)
}
