/** Answers of EC2's Query API: what they are made of, and their text (EC2 API reference, "Query requests"). Pure. */

/** Members are elements of their names, lists have an element `item` for each. */
export type Xml = string | number | boolean | readonly Xml[] | { readonly [name: string]: Xml | undefined }

const NAMESPACE = 'http://ec2.amazonaws.com/doc/2016-11-15/'
const HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'

export function answerText(action: string, content: { readonly [name: string]: Xml | undefined }): string {
  const inner = `<requestId>lab</requestId>${elements(content)}`
  return `${HEAD}<${action}Response xmlns="${NAMESPACE}">${inner}</${action}Response>`
}

export function errorText(code: string, message: string): string {
  return `${HEAD}<Response>${elements({ Errors: { Error: { Code: code, Message: message } }, RequestID: 'lab' })}</Response>`
}

function elements(content: { readonly [name: string]: Xml | undefined }): string {
  return Object.entries(content)
    .map(([name, value]) => (value === undefined ? '' : `<${name}>${textOf(value)}</${name}>`))
    .join('')
}

function textOf(value: Xml): string {
  if (typeof value !== 'object') return escaped(String(value))
  if (Array.isArray(value)) return value.map(item => `<item>${textOf(item)}</item>`).join('')
  return elements(value as { readonly [name: string]: Xml | undefined })
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
