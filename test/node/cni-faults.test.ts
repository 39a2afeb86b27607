/** The CNI executable when things go wrong: no daemon, dying daemons, broken answers, kills, crowds. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, beforeEach, suite, test } from 'node:test'
import { attachmentEnv, callCni, type CniAnswer } from '../support/cni-call.ts'
import { CniFixture, outcome, refused, silent } from '../support/cni-fixture.ts'
import { assertError } from '../support/cni-rules.ts'
import { type Answer, FakeDaemon, rawDaemon } from '../support/fake-daemon.ts'
import { Random } from '../support/random.ts'

const result = {
  interfaces: [{ name: 'eth0', sandbox: '/run/netns/pod' }],
  ips: [{ address: '10.0.0.5/32', interface: 0 }],
}
const agree: Answer = asked => ({ body: asked.path === '/v1/cni/add' ? result : {} })

let cni: CniFixture
before(async () => {
  cni = await CniFixture.create()
})
after(() => cni[Symbol.asyncDispose]())
beforeEach(() => cni.next())

const entryName = /^\d{20}-\d+\.json$/
async function entries(): Promise<string[]> {
  return (await readdir(cni.queue)).filter(name => entryName.test(name)).sort()
}

suite('no daemon', () => {
  test('ADD waits as long as it may and then says code 11 with what it tried', async () => {
    const started = performance.now()
    const answer = await cni.call('ADD', cni.conf({ addTimeoutMs: 400 }))
    const took = performance.now() - started
    const error = assertError(answer.stdout)
    assert.equal(error.code, 11)
    assert.equal(error.msg, 'cannot reach the daemon')
    assert.match(
      error.details ?? '',
      /^connect at .*\.sock: (ENOENT|ETIMEDOUT), tried \d+ times within 400 ms \(addTimeoutMs\)$/,
    )
    assert.ok(took > 100, `took ${took} ms`)
    assert.equal(answer.stderr, `causeway: ADD failed with code 11: ${error.msg} (${error.details})\n`)
  })

  for (const [verb, code] of [
    ['CHECK', 11],
    ['GC', 11],
    ['STATUS', 50],
  ] as const) {
    test(`${verb} says code ${code} at once`, async () => {
      const want = refused(code, 'cannot reach the daemon', `connect at ${cni.socket}: ENOENT`)
      assert.deepEqual(outcome(await cni.call(verb)), want)
    })
  }

  test('ADD outlives a daemon that dies in the middle and is asked again by the next', async () => {
    let adding: Promise<CniAnswer> | undefined
    await new Promise<void>((resolve, reject) => {
      const dying = FakeDaemon.listen(cni.socket, (_, response) => {
        response.destroy()
        dying.then(d => d[Symbol.asyncDispose]()).then(resolve, reject)
        return undefined
      })
      dying.then(() => (adding = cni.call('ADD', cni.conf({ addTimeoutMs: 30_000 }))), reject)
    })
    await using daemon = await FakeDaemon.listen(cni.socket, agree)
    assert.equal((await adding)?.status, 0)
    assert.equal(daemon.asked.length, 1)
  })

  test('ADD gives up on a daemon that does not answer', async () => {
    await using _ = await FakeDaemon.listen(cni.socket, () => undefined)
    const error = assertError((await cni.call('ADD', cni.conf({ addTimeoutMs: 300 }))).stdout)
    assert.equal(error.code, 11)
    assert.match(error.details ?? '', /ETIMEDOUT/)
  })
})

suite('queue of deletes', () => {
  test('a DEL without a daemon is kept as one whole file and has succeeded', async () => {
    const before = Date.now()
    const env = { CNI_NETNS: '/proc/self/ns/net', CNI_ARGS: 'K8S_POD_NAME=web' }
    assert.deepEqual(outcome(await cni.call('DEL', cni.conf(), env)), silent)
    const names = await readdir(cni.queue)
    assert.equal(names.length, 1)
    assert.match(names[0] ?? '', entryName)
    const entry = JSON.parse(await readFile(join(cni.queue, names[0] ?? ''), 'utf8'))
    const { time, ...rest } = entry
    assert.equal(names[0]?.split('-')[0], String(time).padStart(20, '0'))
    assert.ok(time / 1000 >= before && time / 1000 <= Date.now() + 1)
    assert.deepEqual(rest, {
      bootId: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(),
      network: 'causeway',
      containerId: 'c0ffee',
      ifName: 'eth0',
      netns: '/proc/self/ns/net',
      netnsInode: (await stat('/proc/self/ns/net')).ino,
    })
  })

  test('a namespace that is gone or was not named has inode 0', async () => {
    await cni.call('DEL', cni.conf(), { CNI_NETNS: '/run/netns/gone' })
    await cni.call('DEL', cni.conf(), { CNI_NETNS: undefined })
    const texts = await Promise.all((await entries()).map(name => readFile(join(cni.queue, name), 'utf8')))
    const found = texts.map(text => JSON.parse(text)).map(({ netns, netnsInode }) => ({ netns, netnsInode }))
    assert.deepEqual(found, [
      { netns: '/run/netns/gone', netnsInode: 0 },
      { netns: '', netnsInode: 0 },
    ])
  })

  test('names are in order of writing even when the clock was set back', async () => {
    await mkdir(cni.queue, { recursive: true })
    await writeFile(join(cni.queue, '00004102444800000000-7.json'), '{}')
    await cni.call('DEL')
    await cni.call('DEL')
    const times = (await entries()).map(name => name.slice(0, 20))
    assert.deepEqual(times, ['00004102444800000000', '00004102444800000001', '00004102444800000002'])
  })

  test('holds 1,024 entries, refuses the next with code 11, and keeps the bound in a crowd', async () => {
    await mkdir(cni.queue, { recursive: true })
    const fill = Array.from({ length: 1020 }, (_, i) => `${String(i).padStart(20, '0')}-1.json`)
    await Promise.all(fill.map(name => writeFile(join(cni.queue, name), '{}')))
    await writeFile(join(cni.queue, 'notes.json'), 'counts for nothing')
    const answers = await Promise.all(Array.from({ length: 20 }, () => cni.call('DEL')))
    assert.equal(answers.filter(a => a.status === 0).length, 4)
    const details = `${cni.queue} holds 1024 entries; they are carried out when the daemon starts`
    const full = refused(11, 'no daemon, and the queue of deletes is full', details)
    for (const answer of answers.filter(a => a.status !== 0)) assert.deepEqual(outcome(answer), full)
    assert.equal((await entries()).length, 1024)
  })

  test('what a killed process left behind does not count and is cleared after a minute', async () => {
    await mkdir(cni.queue, { recursive: true })
    const fresh = `.${String(Date.now() * 1000).padStart(20, '0')}-7.tmp`
    await writeFile(join(cni.queue, '.00000000000000000009-7.tmp'), '{"torn')
    await writeFile(join(cni.queue, fresh), '{"torn')
    await cni.call('DEL')
    const names = await readdir(cni.queue)
    assert.deepEqual(
      names.filter(name => !entryName.test(name)),
      [fresh],
    )
  })

  test('a queue that cannot be written is code 5, with the reason', async () => {
    const answer = await cni.call('DEL', cni.conf({ deleteQueue: '/dev/null/deletes' }))
    const msg = 'no daemon, and the delete cannot be queued'
    assert.deepEqual(outcome(answer), refused(5, msg, 'cannot create /dev/null/deletes: ENOTDIR'))
  })

  test('a daemon that dies in the middle of a DEL finds it in the queue', async () => {
    await using _ = await FakeDaemon.listen(cni.socket, (_asked, response) => {
      response.destroy()
      return undefined
    })
    assert.deepEqual(outcome(await cni.call('DEL')), silent)
    assert.equal((await entries()).length, 1)
  })

  test('SIGKILL at any moment leaves whole entries only, and none of a DEL that had succeeded is missing', async () => {
    const random = new Random()
    const input = join(cni.folder, 'input')
    await writeFile(input, JSON.stringify(cni.conf()))
    const script = `exec ${cni.binary} < ${input}`
    /** Whether a DEL succeeded that was killed after so many milliseconds. */
    const survives = async (ms: number): Promise<boolean> => {
      const child = spawn('/bin/sh', ['-c', script], {
        env: attachmentEnv('DEL') as NodeJS.ProcessEnv,
        stdio: 'ignore',
      })
      const closed = new Promise<number | null>(resolve => child.once('close', resolve))
      const until = performance.now() + ms
      // A timer is coarser than the life of the process, and what is not to be killed must not wait for one.
      while (performance.now() < until && child.exitCode === null && ms < Infinity);
      if (ms < Infinity) child.kill('SIGKILL')
      return (await closed) === 0
    }
    const started = performance.now()
    for (let i = 0; i < 10; i++) assert.ok(await survives(Infinity))
    const life = (performance.now() - started) / 10
    let survivors = 10
    for (let i = 0; i < 150; i++) if (await survives((random.below(1000) / 1000) * 1.2 * life)) survivors++
    // Else nobody was killed, or everybody at once.
    assert.ok(survivors > 10 && survivors < 160, `${survivors} of 160 survived; ${random.replay}`)
    const names = await entries()
    for (const name of names) {
      const entry = JSON.parse(await readFile(join(cni.queue, name), 'utf8'))
      assert.equal(entry.containerId, 'c0ffee', random.replay)
    }
    assert.ok(names.length >= survivors, `${names.length} entries of ${survivors} successful DELs; ${random.replay}`)
  })
})

suite('answers of the daemon', () => {
  const ok = JSON.stringify(result)
  const chunks = `${ok.slice(0, 20)}\r\n${(ok.length - 20).toString(16)};x=y\r\n${ok.slice(20)}\r\n0\r\n\r\n`
  const good: readonly (readonly [name: string, bytes: string])[] = [
    ['with a length', `HTTP/1.1 200 OK\r\ncontent-length: ${ok.length}\r\n\r\n${ok}`],
    ['with more behind its length', `HTTP/1.1 200 OK\r\nContent-Length:${ok.length}\r\n\r\n${ok}more`],
    ['in chunks', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n${chunks}`],
    ['that ends with the connection', `HTTP/1.0 200 OK\r\n\r\n${ok}`],
  ]
  for (const [name, bytes] of good) {
    test(`one ${name} is understood`, async () => {
      await using _ = await rawDaemon(cni.socket, bytes)
      assert.deepEqual(outcome(await cni.call('ADD')), { status: 0, stdout: { cniVersion: '1.1.0', ...result } })
    })
  }

  const length = (body: string) => `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  // An ADD is asked again until its time is up, so its last attempt may end by the clock.
  const bad: readonly (readonly [bytes: string | Buffer, code: number, msg: RegExp, details: RegExp])[] = [
    ['', 11, /^cannot (reach|ask|hear) the daemon$/, / at .*: (ECONNRESET|ETIMEDOUT), tried \d+ times/],
    ['HTTP/1.1 200 OK\r\nContent-', 11, /^cannot (reach|ask|hear) the daemon$/, /ECONNRESET|ETIMEDOUT/],
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"interf',
      11,
      /^cannot (reach|ask|hear) the daemon$/,
      /ECONNRESET|ETIMEDOUT/,
    ],
    [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{',
      11,
      /^cannot (reach|ask|hear) the daemon$/,
      /ECONNRESET|ETIMEDOUT/,
    ],
    ['SSH-2.0-OpenSSH\r\n\r\n', 101, /answer to add cannot be understood/, /EPROTO/],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 101, /cannot be understood/, /EPROTO/],
    ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', 101, /cannot be understood/, /EPROTO/],
    ['HTTP/1.1 99 OK\r\n\r\n', 101, /cannot be understood/, /EPROTO/],
    [Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff', 'latin1'), 101, /cannot be understood/, /EILSEQ/],
    [`HTTP/1.1 200 OK\r\n${length('')}`, 101, /^the daemon's answer cannot be understood: HTTP 200$/, /^""$/],
    [`HTTP/1.1 200 OK\r\n${length('{"interfaces":')}`, 101, /HTTP 200$/, /interfaces/],
    [`HTTP/1.1 200 OK\r\n${length('[]')}`, 101, /HTTP 200$/, /\[\]/],
    [
      `HTTP/1.1 200 OK\r\n${length('{"interfaces":1}')}`,
      101,
      /^the result of ADD cannot be understood: interfaces$/,
      /1/,
    ],
    [`HTTP/1.1 200 OK\r\n${length('{"ips":[{}]}')}`, 101, /ips\[\]\.address$/, /\{\}/],
    [`HTTP/1.1 404 Not Found\r\n${length('<html>')}`, 101, /HTTP 404$/, /<html>/],
    [`HTTP/1.1 500 Oops\r\n${length('{"code":0,"msg":"x"}')}`, 101, /HTTP 500$/, /code/],
  ]
  for (const [bytes, code, msg, details] of bad) {
    test(`${JSON.stringify(bytes.toString().slice(0, 70))} is code ${code}`, async () => {
      await using _ = await rawDaemon(cni.socket, bytes)
      const error = assertError((await cni.call('ADD', cni.conf({ addTimeoutMs: code === 11 ? 200 : 20_000 }))).stdout)
      assert.equal(error.code, code)
      assert.match(error.msg, msg)
      assert.match(error.details ?? '', details)
    })
  }

  for (const verb of ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS']) {
    test(`an error of the daemon is printed as it came by ${verb}`, async () => {
      const body = {
        code: verb === 'STATUS' ? 50 : 112,
        msg: 'pool "default" is exhausted',
        details: '254 of 254 used',
      }
      await using _ = await FakeDaemon.listen(cni.socket, () => ({ status: 503, body }))
      const answer = await cni.call(verb)
      assert.deepEqual(outcome(answer), refused(body.code, body.msg, body.details))
      assert.equal(answer.stderr, `causeway: ${verb} failed with code ${body.code}: ${body.msg} (${body.details})\n`)
    })
  }

  test('text passes whole, also outside of ASCII and the basic plane', async () => {
    const body = String.raw`{"code":11,"msg":"é 😀 \ud83d\ude00 \u0000 \" \\ \ud800 end"}`
    await using _ = await FakeDaemon.listen(cni.socket, () => ({ status: 503, body }))
    assert.equal(assertError((await cni.call('GC')).stdout).msg, 'é 😀 😀 \u0000 " \\ \ufffd end')
  })

  test('a result nobody can read is a failure', async () => {
    await using _ = await FakeDaemon.listen(cni.socket, agree)
    const env = { ...attachmentEnv('ADD'), PATH: process.env.PATH }
    const answer = await callCni('/bin/sh', { env, stdin: cni.conf() }, ['-c', `exec ${cni.binary} >&-`])
    assert.equal(answer.status, 1)
    assert.equal(answer.stderr, 'causeway: cannot write the result: EBADF\n')
  })
})

suite('crowds', () => {
  test('50 calls at once each get their own answer', async () => {
    await using daemon = await FakeDaemon.listen(cni.socket, asked => {
      const name = String(asked.body.containerId)
      return { body: { interfaces: [{ name }], ips: [] } }
    })
    const calls = Array.from({ length: 50 }, (_, i) => cni.call('ADD', cni.conf(), { CNI_CONTAINERID: `pod-${i}` }))
    const answers = await Promise.all(calls)
    const got = answers.map(a => JSON.parse(a.stdout).interfaces[0].name)
    assert.deepEqual(
      got,
      Array.from({ length: 50 }, (_, i) => `pod-${i}`),
    )
    assert.equal(daemon.asked.length, 50)
  })

  test('50 deletes at once without a daemon are 50 entries in order', async () => {
    const ids = Array.from({ length: 50 }, (_, i) => `pod-${i}`)
    await Promise.all(ids.map(id => cni.call('DEL', cni.conf(), { CNI_CONTAINERID: id })))
    const names = await entries()
    const kept = await Promise.all(names.map(name => readFile(join(cni.queue, name), 'utf8').then(JSON.parse)))
    assert.deepEqual(kept.map(entry => String(entry.containerId)).sort(), ids.sort())
    assert.equal(new Set(kept.map(entry => entry.time)).size, 50)
  })
})
