/**
 * Rules of the CNI specification for what a plugin prints: sections 5 "Result Types" of 0.3.1, 0.4.0, 1.0.0 and 1.1.0.
 * Written from the specification, apart from the plugin's own tables.
 */
import assert from 'node:assert/strict'
import { isIP } from 'node:net'

type Fields = Readonly<Record<string, unknown>>
type Rule = (value: unknown) => boolean
type Shape = Readonly<Record<string, readonly [rule: Rule, required?: 'required']>>

const text: Rule = v => typeof v === 'string' && v !== ''
const whole: Rule = v => Number.isInteger(v) && (v as number) >= 0
const mac: Rule = v => typeof v === 'string' && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(v)
const address: Rule = v => typeof v === 'string' && isIP(v) !== 0
const prefix: Rule = v => typeof v === 'string' && isIP(v.split('/')[0] ?? '') !== 0 && /\/\d{1,3}$/.test(v)
const texts: Rule = v => Array.isArray(v) && v.every(text)

const interfaceUntil1_0: Shape = { name: [text, 'required'], mac: [mac], sandbox: [text] }
const interfaceFrom1_1: Shape = { ...interfaceUntil1_0, mtu: [whole], socketPath: [text], pciID: [text] }
const addressFrom1_0: Shape = { address: [prefix, 'required'], gateway: [address], interface: [whole] }
const addressUntil0_4: Shape = { ...addressFrom1_0, version: [v => v === '4' || v === '6', 'required'] }
const routeUntil1_0: Shape = { dst: [prefix, 'required'], gw: [address] }
const routeFrom1_1: Shape = {
  ...routeUntil1_0,
  mtu: [whole],
  advmss: [whole],
  priority: [whole],
  table: [whole],
  scope: [whole],
}
const dns: Shape = { nameservers: [texts], domain: [text], search: [texts], options: [texts] }

/** Throws unless a text is an ADD result of the version: one JSON object, known members only, indices that exist. */
export function assertAddResult(stdout: string, version: string): void {
  const result = JSON.parse(stdout) as Fields
  assert.equal(result.cniVersion, version)
  const old = version.startsWith('0.')
  const newest = version === '1.1.0'
  const known = ['cniVersion', 'interfaces', 'ips', 'routes', 'dns']
  for (const name of Object.keys(result)) assert.ok(known.includes(name), `unknown member ${name}`)
  const interfaces = assertEach(result, 'interfaces', newest ? interfaceFrom1_1 : interfaceUntil1_0)
  for (const ip of assertEach(result, 'ips', old ? addressUntil0_4 : addressFrom1_0)) {
    if (ip.interface !== undefined) assert.ok((ip.interface as number) < interfaces.length)
    if (old) assert.equal(ip.version, isIP(String(ip.address).split('/')[0] ?? '') === 4 ? '4' : '6')
  }
  assertEach(result, 'routes', newest ? routeFrom1_1 : routeUntil1_0)
  if (result.dns !== undefined) assertShape(result.dns as Fields, dns, 'dns')
}

/** Throws unless a text is an error object of a supported version; returns it. */
export function assertError(stdout: string): { cniVersion: string; code: number; msg: string; details?: string } {
  const error = JSON.parse(stdout) as Fields
  const shape: Shape = {
    cniVersion: [v => ['0.3.1', '0.4.0', '1.0.0', '1.1.0'].includes(v as string), 'required'],
    code: [v => Number.isInteger(v) && (v as number) > 0, 'required'],
    msg: [text, 'required'],
    details: [text],
  }
  assertShape(error, shape, 'error')
  return error as ReturnType<typeof assertError>
}

function assertEach(result: Fields, name: string, shape: Shape): readonly Fields[] {
  const list = (result[name] ?? []) as readonly Fields[]
  assert.ok(Array.isArray(list), `${name} is not a list`)
  list.forEach((entry, index) => assertShape(entry, shape, `${name}[${index}]`))
  return list
}

function assertShape(fields: Fields, shape: Shape, where: string): void {
  for (const [name, [rule, required]] of Object.entries(shape)) {
    if (fields[name] === undefined) assert.ok(required === undefined, `${where}.${name} is missing`)
    else assert.ok(rule(fields[name]), `${where}.${name} is ${JSON.stringify(fields[name])}`)
  }
  for (const name of Object.keys(fields)) assert.ok(name in shape, `${where}.${name} is not of this version`)
}
