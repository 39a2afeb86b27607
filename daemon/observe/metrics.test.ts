import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMetrics } from './metrics.ts'

const create = () => createMetrics({ version: '1.2.3', node: '24' })

test('metrics appear with prefix, labels and the build in the exposition', async () => {
  const metrics = create()
  metrics.counter('adds_total', 'Pod ADDs.', ['result']).inc({ result: 'ok' }, 2)
  metrics.gauge('pods', 'Pods.').set(3)
  metrics.histogram('add_seconds', 'ADD.', [0.1, 1]).observe(0.5)
  const text = await metrics.expose()
  for (const line of [
    'causeway_adds_total{result="ok"} 2',
    'causeway_pods 3',
    'causeway_add_seconds_bucket{le="1"} 1',
    'causeway_build_info{version="1.2.3",node="24"} 1',
  ]) {
    assert.ok(text.includes(`${line}\n`), line)
  }
  assert.match(text, /^process_resident_memory_bytes \d/m)
})

test('a counter with a collector shows the totals of its source', async () => {
  const metrics = create()
  let total = 7
  metrics.counter('packets_total', 'Packets.', ['hook'], counter => counter.inc({ hook: 'a' }, total))
  assert.match(await metrics.expose(), /causeway_packets_total\{hook="a"\} 7\n/)
  total = 9
  assert.match(await metrics.expose(), /causeway_packets_total\{hook="a"\} 9\n/)
})

test('a gauge with a collector is asked at each exposition, and forgets what is gone', async () => {
  const metrics = create()
  let pools = ['a', 'b']
  metrics.gauge('free', 'Free.', ['pool'], gauge => pools.forEach(pool => gauge.set(1, { pool })))
  assert.match(await metrics.expose(), /causeway_free\{pool="b"\} 1/)
  pools = ['a']
  assert.doesNotMatch(await metrics.expose(), /pool="b"/)
})

test('what is declared again in the same way is the same metric', async () => {
  const metrics = create()
  for (const reconciler of ['a', 'b']) {
    metrics.counter('rows_total', 'Rows.', ['reconciler']).inc({ reconciler })
    metrics.gauge('pending', 'Pending.', ['reconciler']).set(1, { reconciler })
  }
  const text = await metrics.expose()
  for (const name of ['rows_total', 'pending'])
    for (const reconciler of ['a', 'b']) assert.ok(text.includes(`causeway_${name}{reconciler="${reconciler}"} 1\n`))
})

const wrong: readonly (readonly [name: string, declare: (m: ReturnType<typeof create>) => void])[] = [
  ['a counter without _total', m => m.counter('adds', '')],
  ['a gauge with _total', m => m.gauge('adds_total', '')],
  ['a name with the prefix', m => m.gauge('causeway_pods', '')],
  ['a name with capitals', m => m.gauge('Pods', '')],
  ['a name declared in two ways', m => (m.gauge('pods', 'Pods.'), m.gauge('pods', 'Pods.', ['pool']))],
  ['a second collector', m => (m.gauge('pods', 'Pods.', [], () => {}), m.gauge('pods', 'Pods.', [], () => {}))],
]
for (const [name, declare] of wrong) {
  test(`${name} is refused`, () => assert.throws(() => declare(create()), RangeError))
}
