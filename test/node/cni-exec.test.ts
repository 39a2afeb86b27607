/** The CNI executable as a runtime meets it: verb × version × error, whole output compared, against a fake daemon. */
import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import { compileCni } from '../../deploy/setup/compile-cni.mjs'
import { callCni } from '../support/cni-call.ts'
import { CniFixture, type Env, type Outcome, outcome, refused, silent } from '../support/cni-fixture.ts'
import { assertAddResult } from '../support/cni-rules.ts'
import { type Answer, FakeDaemon } from '../support/fake-daemon.ts'

const versions = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

/** What the daemon answers to ADD: the form of 1.1.0 with everything an older form lacks. */
const daemonResult = {
  interfaces: [
    { name: 'cw0123456789ab', mac: '02:00:00:00:00:01' },
    { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1450, sandbox: '/run/netns/pod', socketPath: '/s', pciID: '0:1' },
  ],
  ips: [
    { address: '10.0.0.5/32', gateway: '169.254.1.1', interface: 1 },
    { address: 'fd00::5/128', gateway: 'fe80::1', interface: 1 },
  ],
  routes: [
    { dst: '0.0.0.0/0', gw: '169.254.1.1', mtu: 1400, advmss: 1360, priority: 5, table: 254, scope: 0 },
    { dst: '::/0', gw: 'fe80::1' },
  ],
  dns: { nameservers: ['10.96.0.10'], search: ['svc.cluster.local'], internal: 'dropped' },
  unknown: 'dropped',
}

let cni: CniFixture
before(async () => {
  cni = await CniFixture.create()
})
after(() => cni[Symbol.asyncDispose]())
beforeEach(() => cni.next())

const agree: Answer = asked => ({ body: asked.path === '/v1/cni/add' ? daemonResult : {} })

suite('VERSION', () => {
  const supportedVersions = [...versions]
  const cases: readonly (readonly [stdin: string, want: object])[] = [
    ...versions.map(v => [`{"cniVersion":"${v}"}`, { cniVersion: v, supportedVersions }] as const),
    ['{"cniVersion":"0.2.0"}', { cniVersion: '0.2.0', supportedVersions }],
    ['{"cniVersion":"9.0.0"}', { cniVersion: '9.0.0', supportedVersions }],
    ['{}', { cniVersion: '1.1.0', supportedVersions }],
    ['', { cniVersion: '1.1.0', supportedVersions }],
  ]
  for (const [stdin, want] of cases) {
    test(`answers ${stdin || 'empty input'} with all versions and needs no other variable`, async () => {
      const answer = await callCni(cni.binary, { env: { CNI_COMMAND: 'VERSION' }, stdin })
      assert.deepEqual(outcome(answer), { status: 0, stdout: want })
      assert.equal(answer.stderr, '')
    })
  }

  test('refuses what is not JSON with code 6', async () => {
    const answer = await callCni(cni.binary, { env: { CNI_COMMAND: 'VERSION' }, stdin: 'version?' })
    assert.deepEqual(outcome(answer), refused(6, 'standard input: is not JSON', 'expected a value at byte 0'))
  })
})

suite('ADD', () => {
  const names = ['name', 'mac', 'sandbox']
  const pick = (o: object, keys: readonly string[]) =>
    Object.fromEntries(Object.entries(o).filter(([key]) => keys.includes(key)))
  const olderInterfaces = daemonResult.interfaces.map(i => pick(i, names))
  const olderRoutes = daemonResult.routes.map(r => pick(r, ['dst', 'gw']))
  const dns = pick(daemonResult.dns, ['nameservers', 'search'])
  const withFamily = daemonResult.ips.map((ip, i) => ({ ...ip, version: ['4', '6'][i] }))
  const want: Readonly<Record<string, object>> = {
    '0.3.1': { interfaces: olderInterfaces, ips: withFamily, routes: olderRoutes, dns },
    '0.4.0': { interfaces: olderInterfaces, ips: withFamily, routes: olderRoutes, dns },
    '1.0.0': { interfaces: olderInterfaces, ips: daemonResult.ips, routes: olderRoutes, dns },
    '1.1.0': { interfaces: daemonResult.interfaces, ips: daemonResult.ips, routes: daemonResult.routes, dns },
  }
  for (const cniVersion of versions) {
    test(`prints the result in the form of ${cniVersion} and nothing of a newer one`, async () => {
      await using daemon = await FakeDaemon.listen(cni.socket, agree)
      const answer = await cni.call('ADD', cni.conf({ cniVersion }))
      assert.deepEqual(outcome(answer), { status: 0, stdout: { cniVersion, ...want[cniVersion] } })
      assertAddResult(answer.stdout, cniVersion)
      assert.equal(answer.stderr, '')
      assert.equal(daemon.asked.length, 1)
    })
  }

  test('tells the daemon the attachment, the pod, the wishes and a deadline 2 s before its own', async () => {
    await using daemon = await FakeDaemon.listen(cni.socket, agree)
    const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_UID=u1;FOO=bar'
    const runtimeConfig = {
      ips: ['10.0.0.9/24', 'fd00::9'],
      mac: '02:AB:cd:00:00:01',
      portMappings: [
        { hostPort: 80, containerPort: 8080, protocol: 'tcp' },
        { HostPort: 53, ContainerPort: 53, Protocol: 'udp', HostIP: '192.0.2.1' },
        { hostPort: 0, containerPort: 9 },
        { hostPort: 81, containerPort: 81, hostIP: '' },
      ],
    }
    const answer = await cni.call('ADD', cni.conf({ addTimeoutMs: 60_000, runtimeConfig }), { CNI_ARGS: args })
    assert.equal(answer.status, 0)
    const [asked] = daemon.asked
    assert.equal(asked?.path, '/v1/cni/add')
    const { deadlineMs, ...body } = asked?.body ?? {}
    assert.ok(Number(deadlineMs) > 57_000 && Number(deadlineMs) <= 58_000, `deadlineMs ${String(deadlineMs)}`)
    assert.deepEqual(body, {
      network: 'causeway',
      containerId: 'c0ffee',
      netns: '/run/netns/pod',
      ifName: 'eth0',
      args: { K8S_POD_NAMESPACE: 'default', K8S_POD_NAME: 'web-0', K8S_POD_UID: 'u1' },
      runtimeConfig: {
        ips: ['10.0.0.9', 'fd00::9'],
        mac: '02:ab:cd:00:00:01',
        portMappings: [
          { hostPort: 80, containerPort: 8080, protocol: 'TCP' },
          { hostPort: 53, containerPort: 53, protocol: 'UDP', hostIP: '192.0.2.1' },
          { hostPort: 81, containerPort: 81, protocol: 'TCP' },
        ],
      },
    })
  })

  test('is refused behind a plugin that has already made an interface', async () => {
    await using daemon = await FakeDaemon.listen(cni.socket, agree)
    const answer = await cni.call('ADD', cni.conf({ prevResult: { interfaces: [{ name: 'eth0' }] } }))
    const details = 'causeway makes the interface of the pod and must stand first in the list of plugins'
    const msg = 'prevResult: already holds an interface: [{"name":"eth0"}]'
    assert.deepEqual(outcome(answer), refused(7, msg, details))
    assert.equal(daemon.asked.length, 0)
  })

  test('passes on what a previous result without interfaces says', async () => {
    await using _ = await FakeDaemon.listen(cni.socket, () => ({ body: { interfaces: [{ name: 'eth0' }] } }))
    const prevResult = { ips: [{ version: '4', address: '192.0.2.1/32' }], routes: [{ dst: '192.0.2.0/24' }] }
    const answer = await cni.call('ADD', cni.conf({ cniVersion: '0.4.0', prevResult }))
    const stdout = { cniVersion: '0.4.0', interfaces: [{ name: 'eth0' }], ...prevResult }
    assert.deepEqual(outcome(answer), { status: 0, stdout })
  })
})

suite('verbs and versions', () => {
  const since: Readonly<Record<string, string>> = { DEL: '0.3.1', CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' }
  for (const [verb, first] of Object.entries(since)) {
    for (const cniVersion of versions) {
      const allowed = versions.indexOf(cniVersion) >= versions.indexOf(first as (typeof versions)[number])
      test(`${verb} with ${cniVersion} ${allowed ? 'succeeds and prints nothing' : 'is refused with code 1'}`, async () => {
        await using daemon = await FakeDaemon.listen(cni.socket, agree)
        const answer = await cni.call(verb, cni.confFor(verb, { cniVersion }))
        const msg = `cniVersion: ${cniVersion} does not allow ${verb}`
        assert.deepEqual(
          outcome(answer),
          allowed ? silent : refused(1, msg, `${verb} exists since ${first}`, cniVersion),
        )
        assert.deepEqual(
          daemon.asked.map(a => a.path),
          allowed ? [`/v1/cni/${verb.toLowerCase()}`] : [],
        )
      })
    }
  }

  for (const verb of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']) {
    const speaks = 'this plugin speaks 0.3.1, 0.4.0, 1.0.0, 1.1.0'
    const cases: readonly [value: unknown, want: Outcome][] = [
      ['0.2.0', refused(1, 'cniVersion: 0.2.0 is not supported', speaks)],
      ['0.3.0', refused(1, 'cniVersion: 0.3.0 is not supported', speaks)],
      ['1.2.0', refused(1, 'cniVersion: 1.2.0 is not supported', speaks)],
      [undefined, refused(1, 'cniVersion: 0.1.0 is not supported', speaks)],
      ['new', refused(6, 'cniVersion: "new" is not a version')],
      [110, refused(6, 'cniVersion: 110 is not a version')],
    ]
    for (const [cniVersion, want] of cases) {
      test(`${verb} with cniVersion ${JSON.stringify(cniVersion)} is refused`, async () => {
        assert.deepEqual(outcome(await cni.call(verb, cni.confFor(verb, { cniVersion }))), want)
      })
    }
  }

  test('CHECK hands prevResult to the daemon and DEL and GC their attachments', async () => {
    await using daemon = await FakeDaemon.listen(cni.socket, agree)
    const attachments = [{ containerID: 'a', ifname: 'eth0' }]
    await cni.call('CHECK', cni.conf({ prevResult: { cniVersion: '1.1.0', ips: [] } }))
    await cni.call('DEL', cni.conf(), { CNI_NETNS: undefined })
    await cni.call('GC', cni.conf({ 'cni.dev/valid-attachments': attachments, 'cni.dev/attachments': attachments }))
    await cni.call('GC', cni.conf({ 'cni.dev/valid-attachments': null }))
    await cni.call('STATUS')
    const common = { network: 'causeway' }
    const attachment = { ...common, containerId: 'c0ffee', ifName: 'eth0', args: {} }
    const bodies: readonly object[] = [
      {
        ...attachment,
        netns: '/run/netns/pod',
        prevResult: { cniVersion: '1.1.0', ips: [] },
        deadlineMs: 28_000,
      },
      { ...attachment, deadlineMs: 28_000 },
      { ...common, validAttachments: attachments, deadlineMs: 58_000 },
      { ...common, validAttachments: [], deadlineMs: 58_000 },
      { ...common, deadlineMs: 3_000 },
    ]
    assert.deepEqual(
      daemon.asked.map(a => a.body),
      bodies,
    )
  })
})

suite('environment', () => {
  const id = 'must start with a letter or digit and hold only letters, digits, "_", "." and "-", at most 255'
  const forbidden = 'holds "/", ":", "%", white space or a control character'
  const bad: readonly [name: string, value: string | undefined, problem: string, verbs: string][] = [
    ['CNI_CONTAINERID', undefined, 'is missing', 'ADD DEL CHECK'],
    ['CNI_CONTAINERID', '', 'is missing', 'ADD DEL CHECK'],
    ['CNI_CONTAINERID', '-a', `"-a" ${id}`, 'ADD DEL CHECK'],
    ['CNI_CONTAINERID', 'a/b', `"a/b" ${id}`, 'ADD DEL CHECK'],
    ['CNI_CONTAINERID', 'a\nb', `"a\\nb" ${id}`, 'ADD'],
    ['CNI_CONTAINERID', 'a'.repeat(256), `"${'a'.repeat(199)}… ${id}`, 'ADD'],
    ['CNI_IFNAME', undefined, 'is missing', 'ADD DEL CHECK'],
    ['CNI_IFNAME', 'sixteen-bytes-16', '"sixteen-bytes-16" is longer than 15 bytes', 'ADD DEL CHECK'],
    ['CNI_IFNAME', 'éééééééé', '"éééééééé" is longer than 15 bytes', 'ADD'],
    ['CNI_IFNAME', '.', '"." is not a name', 'ADD DEL CHECK'],
    ['CNI_IFNAME', '..', '".." is not a name', 'ADD'],
    ['CNI_IFNAME', 'a/b', `"a/b" ${forbidden}`, 'ADD DEL CHECK'],
    ['CNI_IFNAME', 'a:b', `"a:b" ${forbidden}`, 'ADD'],
    ['CNI_IFNAME', 'a b', `"a b" ${forbidden}`, 'ADD'],
    ['CNI_IFNAME', 'eth%d', `"eth%d" ${forbidden}`, 'ADD'],
    ['CNI_NETNS', undefined, 'is missing', 'ADD CHECK'],
    ['CNI_NETNS', 'run/netns/x', '"run/netns/x" is not an absolute path', 'ADD DEL CHECK'],
    ['CNI_ARGS', 'FOO', '"FOO" is not KEY=VALUE', 'ADD DEL CHECK'],
    ['CNI_ARGS', 'A=1;', '"" is not KEY=VALUE', 'ADD'],
    ['CNI_ARGS', '=1', '"=1" is not KEY=VALUE', 'ADD'],
    ['CNI_ARGS', 'IgnoreUnknown=maybe', '"IgnoreUnknown=maybe" is neither true nor false', 'ADD DEL CHECK'],
    ['CNI_ARGS', 'FOO=1;BAR=2', 'unknown "FOO, BAR" without IgnoreUnknown=1', 'ADD CHECK'],
    ['CNI_ARGS', 'FOO=1;IgnoreUnknown=0', 'unknown "FOO" without IgnoreUnknown=1', 'ADD'],
    ['CNI_PATH', undefined, 'is missing', 'GC'],
  ]
  for (const [name, value, problem, verbs] of bad) {
    test(`${name}=${value === undefined ? '(unset)' : value.substring(0, 20)} is refused with code 4 by name`, async () => {
      for (const verb of verbs.split(' ')) {
        const answer = await cni.call(verb, cni.confFor(verb, { cniVersion: '1.1.0' }), { [name]: value })
        assert.deepEqual(outcome(answer), refused(4, `invalid environment: ${name}: ${problem}`), verb)
      }
    })
  }

  const good: readonly [verb: string, env: Env][] = [
    ['ADD', { CNI_CONTAINERID: 'A0_.-', CNI_IFNAME: 'fifteen-bytes15' }],
    ['ADD', { CNI_PATH: undefined, CNI_ARGS: '' }],
    ['ADD', { CNI_ARGS: 'FOO=a=b;IgnoreUnknown=true' }],
    ['DEL', { CNI_NETNS: undefined }],
    ['DEL', { CNI_NETNS: '' }],
    ['DEL', { CNI_ARGS: 'FOO=1' }],
    ['STATUS', { CNI_CONTAINERID: undefined, CNI_IFNAME: '..', CNI_NETNS: undefined, CNI_PATH: undefined }],
    ['GC', { CNI_CONTAINERID: undefined, CNI_IFNAME: undefined, CNI_NETNS: undefined }],
  ]
  for (const [verb, env] of good) {
    test(`${verb} accepts ${JSON.stringify(env)}`, async () => {
      await using _ = await FakeDaemon.listen(cni.socket, agree)
      const answer = await cni.call(verb, cni.confFor(verb), env)
      assert.equal(answer.status, 0, answer.stdout)
    })
  }

  test('names every variable that is wrong, in the version of the configuration, in one line on stderr', async () => {
    const env = { CNI_COMMAND: 'ADD', CNI_IFNAME: 'a/b' }
    const answer = await callCni(cni.binary, { env, stdin: cni.conf({ cniVersion: '0.4.0' }) })
    const msg = `invalid environment: CNI_CONTAINERID: is missing; CNI_IFNAME: "a/b" ${forbidden}; CNI_NETNS: is missing`
    assert.deepEqual(outcome(answer), refused(4, msg, undefined, '0.4.0'))
    assert.equal(answer.stderr, `causeway: ADD failed with code 4: ${msg}\n`)
  })

  for (const command of ['add', 'ADD ', 'REMOVE']) {
    test(`CNI_COMMAND=${command} is refused with code 4`, async () => {
      const msg = `invalid environment: CNI_COMMAND: "${command}" is none of ADD, DEL, CHECK, GC, STATUS, VERSION`
      assert.deepEqual(outcome(await cni.call(command, cni.conf())), refused(4, msg))
    })
  }

  test('no CNI_COMMAND is refused with code 4 when nobody sits at a terminal', async () => {
    const answer = await callCni(cni.binary, { env: {}, stdin: '' })
    assert.deepEqual(outcome(answer), refused(4, 'invalid environment: CNI_COMMAND: is missing'))
  })

  test('at a terminal without CNI_COMMAND it says what it is and how it is used', async () => {
    const env = { PATH: process.env.PATH }
    const answer = await callCni('/usr/bin/script', { env, stdin: '' }, ['-qec', cni.binary, '/dev/null'])
    assert.match(answer.stdout, /causeway: CNI plugin, specification versions 0\.3\.1, 0\.4\.0, 1\.0\.0, 1\.1\.0/)
    assert.equal(answer.status, 1)
  })
})

suite('configuration', () => {
  const nameRule = 'must start with a letter or digit and hold only letters, digits, "_", "." and "-"'
  const socketRule = 'must be an absolute path of at most 107 bytes'
  const msRule = 'must be whole ms from 100 to 600000'
  const fields: readonly [field: string, value: unknown, want: Outcome, verbs: string][] = [
    ['name', undefined, refused(7, 'name: is missing'), 'ADD DEL CHECK STATUS GC'],
    ['name', 7, refused(7, `name: ${nameRule}`, 'name is 7'), 'ADD DEL CHECK STATUS GC'],
    ['name', 'a/b', refused(7, `name: ${nameRule}`, 'name is "a/b"'), 'ADD DEL'],
    ['type', undefined, refused(7, 'type: is missing'), 'ADD CHECK STATUS GC'],
    ['type', '../x', refused(7, 'type: must be the name of an executable', 'type is "../x"'), 'ADD'],
    ['socket', 'api.sock', refused(7, `socket: ${socketRule}`, 'socket is "api.sock"'), 'ADD DEL CHECK STATUS GC'],
    ['socket', `/${'é'.repeat(54)}`, refused(7, `socket: ${socketRule}`, `socket is "/${'é'.repeat(54)}"`), 'ADD'],
    ['socket', '/a\u0000b', refused(7, `socket: ${socketRule}`, 'socket is "/a\\u0000b"'), 'ADD'],
    ['deleteQueue', 1, refused(7, 'deleteQueue: must be an absolute path', 'deleteQueue is 1'), 'ADD DEL CHECK'],
    ['addTimeoutMs', '5', refused(7, `addTimeoutMs: ${msRule}`, 'addTimeoutMs is "5"'), 'ADD'],
    ['addTimeoutMs', 99, refused(7, `addTimeoutMs: ${msRule}`, 'addTimeoutMs is 99'), 'ADD STATUS'],
    ['addTimeoutMs', 100.5, refused(7, `addTimeoutMs: ${msRule}`, 'addTimeoutMs is 100.5'), 'ADD'],
    ['cniVersions', '1.0.0', refused(7, 'cniVersions: must be a list of strings', 'cniVersions is "1.0.0"'), 'ADD'],
    ['disableCheck', 'no', refused(7, 'disableCheck: must be true or false', 'disableCheck is "no"'), 'ADD'],
    ['disableGC', 0, refused(7, 'disableGC: must be true or false', 'disableGC is 0'), 'GC'],
    ['capabilities', [], refused(7, 'capabilities: must be an object', 'capabilities is []'), 'ADD'],
    ['args', 'x', refused(7, 'args: must be an object', 'args is "x"'), 'ADD'],
    ['prevResult', [], refused(7, 'prevResult: must be an object', 'prevResult is []'), 'ADD CHECK'],
    ['prevResult', null, refused(7, 'prevResult: is missing'), 'CHECK'],
    ['runtimeConfig', 'x', refused(7, 'runtimeConfig: must be an object', 'runtimeConfig is "x"'), 'ADD'],
    ['ipam', { type: 'x' }, refused(2, 'unsupported field "ipam" with value {"type":"x"}'), 'ADD STATUS'],
    ['sokcet', '/x', refused(2, 'unsupported field "sokcet" with value "/x"'), 'ADD STATUS'],
    ['toString', 1, refused(2, 'unsupported field "toString" with value 1'), 'ADD'],
    ['cni.dev/valid-attachments', undefined, refused(7, 'cni.dev/valid-attachments: is missing'), 'GC'],
    ['cni.dev/valid-attachments', {}, refused(7, 'cni.dev/valid-attachments: must be a list', '{}'), 'GC'],
    [
      'cni.dev/valid-attachments',
      [{ containerID: 'a', ifname: 'eth0' }, { ifname: 'eth0' }],
      refused(7, 'cni.dev/valid-attachments[1].containerID: is not a container id', '{"ifname":"eth0"}'),
      'GC',
    ],
    [
      'cni.dev/valid-attachments',
      [{ containerID: 'a', ifname: '' }],
      refused(7, 'cni.dev/valid-attachments[0].ifname: is not an interface name', '{"containerID":"a","ifname":""}'),
      'GC',
    ],
  ]
  for (const [field, value, want, verbs] of fields) {
    test(`${field}: ${JSON.stringify(value)} is refused by name`, async () => {
      for (const verb of verbs.split(' ')) {
        assert.deepEqual(outcome(await cni.call(verb, cni.confFor(verb, { [field]: value }))), want, verb)
      }
    })
  }

  test('what no longer could be added can still be deleted', async () => {
    await using daemon = await FakeDaemon.listen(cni.socket, agree)
    const more = { type: 7, ipam: {}, addTimeoutMs: 'x', prevResult: 'x', runtimeConfig: { bandwidth: 1 } }
    assert.deepEqual(outcome(await cni.call('DEL', cni.conf(more))), silent)
    assert.equal(daemon.asked.length, 1)
  })

  const notJson: readonly [name: string, stdin: string | Buffer, msg: string, details?: string][] = [
    ['empty input', '', 'standard input: is not JSON', 'the text ends too early at byte 0'],
    ['a torn object', '{"name":"x"', 'standard input: is not JSON', 'the text ends too early at byte 11'],
    ['more than one value', '{} {}', 'standard input: is not JSON', 'more text after the value at byte 3'],
    ['a trailing comma', '{"a":1,}', 'standard input: is not JSON', 'expected a string at byte 7'],
    ['a bare word', '{"a":nul}', 'standard input: is not JSON', 'unknown word at byte 5'],
    ['an octal number', '{"a":01}', 'standard input: is not JSON', 'expected a comma or a closing bracket at byte 6'],
    [
      'a raw newline in a string',
      '{"a":"\n"}',
      'standard input: is not JSON',
      'control character in a string at byte 6',
    ],
    ['a list', '[]', 'standard input: must be a JSON object', '[]'],
    ['null', 'null', 'standard input: must be a JSON object', 'null'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'standard input: is not UTF-8 text'],
    ['a NUL', Buffer.from('{}\0{}'), 'standard input: is not UTF-8 text'],
    ['deep nesting', '['.repeat(100_000), 'standard input: is not JSON', 'nested deeper than 32 levels at byte 32'],
  ]
  for (const [name, stdin, msg, details] of notJson) {
    test(`${name} on standard input is refused with code 6`, async () => {
      for (const verb of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']) {
        assert.deepEqual(outcome(await cni.call(verb, stdin)), refused(6, msg, details), verb)
      }
    })
  }

  test('input up to 4 MiB is read, more is refused with code 5', async () => {
    await using _ = await FakeDaemon.listen(cni.socket, agree)
    const start = JSON.stringify(cni.conf({ args: { cni: '' } })).slice(0, -3)
    const fit = (size: number) => `${start}${'x'.repeat(size - start.length - 3)}"}}`
    assert.equal((await cni.call('DEL', fit(4 << 20))).status, 0)
    const many = `${JSON.stringify(cni.conf()).slice(0, -1)},"args":{"a":[${'[],'.repeat(1_390_000)}0]}}`
    assert.deepEqual(outcome(await cni.call('DEL', many)), silent)
    const answer = await cni.call('DEL', fit((4 << 20) + 1))
    assert.deepEqual(outcome(answer), refused(5, 'standard input: is larger than 4194304 bytes'))
  })
})

test('nothing is built again when nothing has changed', async () => {
  const root = resolve(import.meta.dirname, '../..')
  assert.deepEqual(await compileCni({ root }), { binary: cni.binary, built: false })
})
