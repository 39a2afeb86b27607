import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError } from '../errors.ts'
import { type LoadedConfig, loadConfig } from './load.ts'
import { schema } from './schema.ts'

const pluginNames = ['cluster-pool', 'masquerade']

function load(yaml: string, set: string[] = [], env: Record<string, string> = {}): LoadedConfig {
  const directory = mkdtempSync(join(tmpdir(), 'causeway-config-'))
  try {
    const file = join(directory, 'config.yaml')
    writeFileSync(file, yaml)
    return loadConfig({ pluginNames, file, set, env })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** The message with the temporary directory taken out. */
function complaint(yaml: string, set: string[] = [], env: Record<string, string> = {}): string {
  try {
    load(yaml, set, env)
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.message.replaceAll(/\/\S*\/config\.yaml/g, 'config.yaml')
  }
  return 'accepted'
}

test('without any source every key has its default', () => {
  const { config, locate } = load('')
  assert.equal(config.nodeName, hostname().toLowerCase())
  assert.equal(config.routing.overlay.port, 8472)
  assert.deepEqual(config.families, ['ipv4', 'ipv6'])
  assert.deepEqual(config.sections, {})
  assert.equal(locate('mtu'), undefined)
})

test('flags win over the environment, which wins over the file, which wins over defaults', () => {
  const yaml = 'mtu: 1400\nlogLevel: warn\nrouting: {mode: native, overlay: {vni: 7}}\n'
  const { config, locate } = load(yaml, ['routing.mode=overlay'], {
    CAUSEWAY_ROUTING__MODE: 'auto',
    CAUSEWAY_MTU: '1450',
  })
  assert.equal(config.mtu, 1450)
  assert.equal(config.logLevel, 'warn')
  assert.deepEqual(config.routing, {
    mode: 'overlay',
    formerRanges: [],
    nativeNetwork: '',
    cloudEgress: 'ebpf',
    overlay: { port: 8472, vni: 7 },
  })
  assert.equal(locate('routing.mode'), '--set routing.mode')
  assert.equal(locate('mtu'), 'environment CAUSEWAY_MTU')
  assert.match(locate('routing.overlay.vni') ?? '', /config\.yaml:3$/)
})

test('text of flags and environment gets the type its key asks for', () => {
  const set = ['nodeName=123', 'uplinks=eth0,eth1', 'families=[ipv6]', 'datapath.flowEvents=false', 'mtu=9000']
  const { config } = load('', set)
  assert.equal(config.nodeName, '123')
  assert.deepEqual(config.uplinks, ['eth0', 'eth1'])
  assert.deepEqual(config.families, ['ipv6'])
  assert.equal(config.datapath.flowEvents, false)
  assert.equal(config.mtu, 9000)
})

test('names of variables need neither the case nor the dashes of the key', () => {
  const { config } = load('', [], {
    CAUSEWAY_NODE_NAME: 'a',
    CAUSEWAY_DATAPATH__CONNTRACK__WHENFULL: 'drop',
    CAUSEWAY_CLUSTER_POOL__COOLDOWN_SECONDS: '5',
    CAUSEWAY_CLUSTER_POOL__pools: '{default: {ipv4: [10.0.0.0/24]}}',
  })
  assert.equal(config.nodeName, 'a')
  assert.equal(config.datapath.conntrack.whenFull, 'drop')
  const section = { cooldownSeconds: 5, pools: { default: { ipv4: ['10.0.0.0/24'] } } }
  assert.deepEqual(config.sections, { 'cluster-pool': section })
})

test('variables that Kubernetes sets for a Service of our name are no configuration', () => {
  const env = {
    CAUSEWAY_SERVICE_HOST: '10.0.0.1',
    CAUSEWAY_SERVICE_PORT_METRICS: '9090',
    CAUSEWAY_PORT: 'tcp://10.0.0.1:9090',
    CAUSEWAY_PORT_9090_TCP_ADDR: '10.0.0.1',
    CAUSEWAY_METRICS_PORT: 'tcp://10.0.0.1:9090',
    CAUSEWAY_ROUTING__OVERLAY__PORT: '4789',
  }
  assert.equal(load('', [], env).config.routing.overlay.port, 4789)
})

test('variables of the command and of tests are no configuration', () => {
  assert.equal(load('', [], { CAUSEWAY_SOCKET: '/x', CAUSEWAY_TEST_KILL_AT: 'allocate' }).config.mtu, 'auto')
})

test("a plugin's section enables it, even when empty; false disables it again", () => {
  assert.deepEqual(load('masquerade:\n').config.sections, { masquerade: {} })
  assert.deepEqual(load('masquerade: {a: 1}\n', ['masquerade=false']).config.sections, {})
})

test('outside plugins are listed with module and section', () => {
  const { config } = load('plugins:\n- module: ./a.ts\n  range: 10.0.0.0/8\n')
  assert.deepEqual(config.plugins, [{ module: './a.ts', section: { range: '10.0.0.0/8' } }])
})

test("a plugin's own error gets the place of its key", () => {
  const loaded = load('cluster-pool:\n  pools:\n    default: {ipv4: 3}\n')
  const error = loaded.explain(new ConfigError('cluster-pool.pools.default.ipv4', '3 is no list'))
  assert.match(error.message, /^cluster-pool\.pools\.default\.ipv4: 3 is no list \(.*config\.yaml:3\)$/)
})

const complaints: readonly (readonly [what: string, yaml: string, message: string])[] = [
  [
    'a wrong word',
    'logLevel: info\nrouting:\n  mode: overlays\n',
    'routing.mode: "overlays" is not allowed; allowed: auto, native or overlay (config.yaml:3)',
  ],
  [
    'a number out of range',
    'mtu: 1000',
    'mtu: 1000 is not allowed; allowed: auto, or a whole number from 1280 to 65535 (config.yaml:1)',
  ],
  [
    'an unknown key near a known one',
    'routing: {mod: native}',
    'routing.mod: unknown key; did you mean mode? (config.yaml:1)',
  ],
  [
    'an unknown key like no other',
    'cluster: {whatever: 1}',
    'cluster.whatever: unknown key; known here: name, source, directory and kubernetes (config.yaml:1)',
  ],
  ['a misspelt plugin', 'cluster-pol: {}', 'cluster-pol: unknown key; did you mean cluster-pool? (config.yaml:1)'],
  [
    'a value where a group belongs',
    'routing: native',
    'routing: must be a group of keys: mode, formerRanges, nativeNetwork, cloudEgress and overlay (config.yaml:1)',
  ],
  [
    'a group where a value belongs',
    'mtu: {a: 1}',
    'mtu: {"a":1} is not allowed; allowed: auto, or a whole number from 1280 to 65535 (config.yaml:1)',
  ],
  [
    'a key without a value',
    'mtu:\n',
    'mtu: an empty value is not allowed; allowed: auto, or a whole number from 1280 to 65535 (config.yaml:1)',
  ],
  [
    'a buffer that is no power of two',
    'datapath: {ringBufferBytes: 100000}',
    'datapath.ringBufferBytes: 100000 is not allowed; allowed: a power of two from 65536 to 1073741824 (config.yaml:1)',
  ],
  [
    'one family twice',
    'families: [ipv4, ipv4]',
    'families: ["ipv4","ipv4"] is not allowed; allowed: a list of ipv4, ipv6 or both (config.yaml:1)',
  ],
  [
    'both blocks the same',
    'datapath: {ingressBlock: 9, egressBlock: 9}',
    'datapath.egressBlock: 9 is also datapath.ingressBlock; allowed: another number (config.yaml:1)',
  ],
  [
    'bandwidth in the chain',
    'cni:\n  chained:\n  - type: bandwidth\n',
    'cni.chained.0.type: bandwidth is refused: it cannot share a device with the clsact qdisc that carries the datapath; ' +
      'allowed: other plugins, such as tuning (config.yaml:3)',
  ],
  [
    'portmap in the chain',
    'cni:\n  chained:\n  - type: portmap\n',
    'cni.chained.0.type: portmap is refused: host ports are served by the datapath itself, which would never see what it ' +
      'translates; allowed: other plugins, such as tuning (config.yaml:3)',
  ],
  [
    'node ports at what is no prefix',
    'services: {nodePorts: {addresses: [192.0.2.1/24]}}',
    'services.nodePorts.addresses: ["192.0.2.1/24"] is not allowed; allowed: a list of prefixes such as 192.0.2.0/24 (config.yaml:1)',
  ],
  [
    'a path too long for a socket',
    `paths: {run: /${'x'.repeat(98)}}`,
    'paths.run: too long for a unix socket; allowed: at most 98 bytes (config.yaml:1)',
  ],
  [
    'an address without a port',
    'metrics: {listen: localhost}',
    'metrics.listen: "localhost" is not allowed; allowed: off, or address:port with an IPv6 address in brackets (config.yaml:1)',
  ],
  ...['localhost:9090', '"[oops]:9090"', '"a b:1"', '"1.2.3:1"'].map(
    listen =>
      [
        `the address ${listen}`,
        `metrics: {listen: ${listen}}`,
        `metrics.listen: "${listen.replaceAll('"', '')}" is not allowed; allowed: off, or address:port with an IPv6 address in brackets (config.yaml:1)`,
      ] as const,
  ),
  [
    'a certificate without its key',
    'metrics: {tls: {certFile: /a}}',
    'metrics.tls.keyFile: is missing; allowed: certificate and key together (config.yaml:1)',
  ],
  [
    'an authority for clients without TLS',
    'metrics: {tls: {clientCaFile: /a}}',
    'metrics.tls.clientCaFile: clients show certificates only to who has one; allowed: with metrics.tls.certFile (config.yaml:1)',
  ],
  ...['http://192.0.2.1', '192.0.2.1:6443', 'https://me:secret@192.0.2.1', 'https://192.0.2.1/?a=b'].map(
    server =>
      [
        `the API server ${server}`,
        `cluster: {kubernetes: {servers: ["${server}"]}}`,
        `cluster.kubernetes.servers: ["${server}"] is not allowed; allowed: a list of URLs such as https://192.0.2.1:6443 (config.yaml:1)`,
      ] as const,
  ),
  [
    'a lease that is renewed too late',
    'operator: {lease: {durationSeconds: 9}}',
    'operator.lease.renewSeconds: 10 is not less than operator.lease.durationSeconds, 9 (config.yaml:1)',
  ],
  [
    'a lease that is tried too rarely',
    'operator: {lease: {retrySeconds: 10}}',
    'operator.lease.retrySeconds: 10 is not less than operator.lease.renewSeconds, 10 (config.yaml:1)',
  ],
  [
    'an alias bomb',
    'a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n',
    'config.yaml: not usable YAML: Excessive alias count indicates a resource exhaustion attack',
  ],
  [
    'an alias within itself',
    'routing: &r\n  overlay: *r\n',
    'config.yaml:2: not usable YAML: an alias stands within what it stands for',
  ],
  [
    'broken YAML',
    'mtu: 1400\nrouting: [\n',
    'config.yaml:3: not valid YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  ['a key given twice', 'mtu: 1400\nmtu: 1500\n', 'config.yaml:2: not valid YAML: Map keys must be unique'],
  ['a list instead of a mapping', '- a\n', 'config.yaml:1: the file must hold a mapping of keys to values'],
  [
    'an outside plugin without module',
    'plugins: [{a: 1}]',
    'plugins.0.module: missing; allowed: a path such as ./my-ipam.ts (config.yaml:1)',
  ],
  [
    'two problems at once',
    'mtu: 1\nvni: 2\n',
    'vni: unknown key; did you mean routing.overlay.vni? (config.yaml:2)\n' +
      'mtu: 1 is not allowed; allowed: auto, or a whole number from 1280 to 65535 (config.yaml:1)',
  ],
]
for (const [what, yaml, message] of complaints) {
  test(`${what} is refused with key, place and what is allowed`, () => assert.equal(complaint(yaml), message))
}

for (const [key, value] of Object.entries({
  nodeName: 'n2',
  cluster: { source: 'directory' },
  paths: { state: '/tmp' },
  plugins: [{ module: '/tmp/mine.ts' }],
}))
  test(`NodeSettings cannot say ${key}`, () => {
    const load = (): unknown => loadConfig({ pluginNames: [], layers: [{ name: 'a', settings: { [key]: value } }] })
    assert.throws(load, { code: 'CONFIG', key, message: new RegExp(`^${key}: belongs into .*\\(NodeSettings a\\)$`) })
  })

test('aliases and merges are read as what they stand for', () => {
  const { config, locate } = load(
    [
      'cluster-pool: &pool {a: 1, b: 2}',
      'masquerade:',
      '  <<: [*pool, {b: 3, c: 4}]',
      '  d: 5',
      'logLevel: &level warn',
      'routing: {mode: native}',
      'uplinks: [*level]',
      '',
    ].join('\n'),
  )
  assert.deepEqual(config.sections['masquerade'], { a: 1, b: 2, c: 4, d: 5 })
  assert.deepEqual([config.logLevel, config.uplinks], ['warn', ['warn']])
  assert.match(locate('masquerade.c') ?? '', /:3$/)
})

test('a default that this node cannot use is refused like a value', t => {
  const { fields } = schema
  t.mock.method(fields.nodeName, 'byDefault', () => 'my_host')
  assert.equal(
    complaint(''),
    'nodeName: "my_host" is not allowed; allowed: the name of a Kubernetes node (RFC 1123, lower case) (default)',
  )
  assert.equal(complaint('nodeName: a'), 'accepted')
})

test('a wrong flag or variable is named as its place', () => {
  assert.equal(complaint('', ['mtu']), '--set mtu: must have the form key.path=value')
  assert.equal(
    complaint('', ['logLevel=loud']),
    'logLevel: "loud" is not allowed; allowed: debug, info, warn or error (--set logLevel)',
  )
  assert.equal(
    complaint('', [], { CAUSEWAY_LOG_LEVLE: 'info' }),
    'logLevle: unknown key; did you mean logLevel? (environment CAUSEWAY_LOG_LEVLE)',
  )
})

test('a file that was named must exist', () => {
  assert.throws(() => loadConfig({ pluginNames, file: '/nonexistent/c.yaml' }), { code: 'CONFIG', key: '--config' })
})
