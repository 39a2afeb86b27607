import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { declaredTypes, readComments } from './comments.ts'

const header = `/* SPDX */
#pragma once

/* pairs: one of
 * two lines. */
struct pair {
	__u32 first; /* the first */
	/* before the second */
	__be16 second[2];
	__u8 third;
};

/* Not the enum's: an empty line parts them. */

enum colour {
	RED = 1,   /* stop */
	GREEN = 2, /* go, over
		    * two lines */
	BLUE,
};

/* How many. */
const volatile __u32 count = 4;
const volatile __u8 flag = 1; /* on */
const volatile __u8 mac[6] = {};
`

describe('comments of a header', () => {
  it('are found by what they describe', () => {
    assert.deepEqual(Object.fromEntries(readComments(header)), {
      'struct pair': 'pairs: one of two lines.',
      'struct pair.first': 'the first',
      'struct pair.second': 'before the second',
      'enum colour.RED': 'stop',
      'enum colour.GREEN': 'go, over two lines',
      count: 'How many.',
      flag: 'on',
    })
  })

  it('come with the names of the types', () => {
    assert.deepEqual(declaredTypes(header), ['struct pair', 'enum colour'])
  })
})
