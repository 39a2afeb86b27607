/** Rules of the in-memory kernel, as fib_rules.c treats them. */
import { canonicalPrefix } from '../ip.ts'
import type { Rule } from '../kernel.ts'
import type { Namespace } from './namespace.ts'
import { refuse } from './refuse.ts'

/** Refuses one that is there already. */
export function addRule(ns: Namespace, rule: Rule): void {
  const made = canonical(rule)
  if (ns.rules.some(have => same(made, have) && same(have, made))) throw refuse('EEXIST', `add rule ${rule.priority}`)
  ns.rules = [...ns.rules, made]
  ns.notify(`rule${rule.family}`, { kind: 'rule' })
}

/** Deletes the first that has everything the request gives. */
export function deleteRule(ns: Namespace, rule: Rule): void {
  const given = canonical(rule)
  const found = ns.rules.find(have => same(given, have))
  if (!found) return
  ns.rules = ns.rules.filter(have => have !== found)
  ns.notify(`rule${rule.family}`, { kind: 'rule' })
}

function canonical({ from, to, ...rule }: Rule): Rule {
  return {
    ...rule,
    ...(from === undefined ? {} : { from: canonicalPrefix(from) }),
    ...(to === undefined ? {} : { to: canonicalPrefix(to) }),
  }
}

function same(given: Rule, have: Rule): boolean {
  const fields = ['family', 'priority', 'table', 'from', 'to', 'protocol'] as const
  const mark = given.mark === undefined || (given.mark.value === have.mark?.value && given.mark.mask === have.mark.mask)
  return mark && fields.every(field => given[field] === undefined || given[field] === have[field])
}
