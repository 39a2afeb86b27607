/** `npm run image`: the container image, made without an engine. */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Arguments, HELP, parseArguments } from './arguments.ts'
import { imageContent, projectVersion } from './build.ts'
import { writeImages } from './oci-image.ts'
import { writeTree } from './write-tree.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CACHE = join(ROOT, 'build/image')
const startedMs = performance.now()

/** Progress goes to standard error: standard output is for results. */
function say(text: string): void {
  process.stderr.write(`image: ${text} (${((performance.now() - startedMs) / 1000).toFixed(1)} s)\n`)
}

async function build({ architectures, output, tag, tree, seconds }: Arguments): Promise<void> {
  if (tree !== undefined && existsSync(tree) && readdirSync(tree).length > 0) throw new Error(`${tree} is not empty`)
  const image = await imageContent(tag, architectures, { root: ROOT, cache: join(CACHE, 'cache'), say })
  if (tree !== undefined) {
    for (const { layers } of image.platforms) for (const layer of layers) writeTree(tree, layer.tree, seconds)
    say(`the content of ${tag} for ${architectures.join()} is in ${tree}`)
    return
  }
  const layers = join(CACHE, 'layers')
  const digests = await writeImages(output, [image], { seconds, cache: layers, say })
  const size = output.endsWith('.tar') ? `, ${(statSync(output).size / 1e6).toFixed(1)} MB` : ''
  say(`${tag} for ${architectures.join(' and ')} is in ${output}${size}`)
  process.stdout.write(`${digests[tag]}\n`)
}

async function main(): Promise<number> {
  try {
    const args = parseArguments(process.argv.slice(2), process.env, { build: CACHE, version: projectVersion(ROOT) })
    if (args.help) process.stdout.write(HELP)
    else await build(args)
    return 0
  } catch (error) {
    say(error instanceof Error ? error.message : String(error))
    return 1
  }
}

process.exitCode = await main()
