/** The text of a file → Kubernetes objects that know the lines they stand on. JSON is read as the YAML it is. */
import { isMap, isNode, isScalar, isSeq, LineCounter, type Document, parseAllDocuments } from 'yaml'
import { ObjectError, ObjectField, type Path } from '../object-field.ts'

/** Objects of a file in their order; a document that is no YAML gives an ObjectError in its place. */
export function readDocuments(file: string, text: string): (ObjectField | ObjectError)[] {
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })
  const place = (offset: number): string => `${file}:${lines.linePos(offset).line}`
  return [...documents].flatMap(document => {
    const broken = document.errors[0]
    if (broken) return [new ObjectError(place(broken.pos[0]), '', `not valid YAML: ${firstLine(broken.message)}`)]
    if (document.contents === null || isEmptyScalar(document)) return []
    const locate = (path: Path): string => place(offsetOf(document, path))
    return [toField(document, locate)]
  })
}

/** Aliases may be nested so that they multiply; the YAML library then refuses the document. */
function toField(document: Document.Parsed, locate: (path: Path) => string): ObjectField | ObjectError {
  try {
    return new ObjectField(document.toJS(), locate)
  } catch (error) {
    return new ObjectError(locate([]), '', `not usable YAML: ${firstLine((error as Error).message)}`, { cause: error })
  }
}

/** Text between two separators that holds only comments is a document with an empty scalar. */
function isEmptyScalar(document: Document.Parsed): boolean {
  return isScalar(document.contents) && document.contents.value === null
}

/** Start of the node at a path, of its key when it is a member, or of the nearest thing around it that exists. */
function offsetOf(document: Document.Parsed, path: Path): number {
  let node: unknown = document.contents
  let offset = startOf(node) ?? document.range[0]
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find(item => isScalar(item.key) && item.key.value === part)
      if (!pair) break
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(part)]
      offset = startOf(node) ?? offset
    } else break
  }
  return offset
}

function startOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? ''
}
