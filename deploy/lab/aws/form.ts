/** Requests of EC2's Query API: a form whose lists are numbered (`Filter.1.Value.2`). Pure. */

export class Form {
  readonly #values: ReadonlyMap<string, string>

  constructor(body: string) {
    this.#values = new Map(new URLSearchParams(body))
  }

  get action(): string {
    return this.text('Action')
  }

  /** Empty when it is absent. */
  text(name: string): string {
    return this.#values.get(name) ?? ''
  }
  /** 0 when it is absent. */
  count(name: string): number {
    return Number(this.text(name))
  }
  list(name: string): string[] {
    return this.#numbered(name, '').map(at => this.text(at))
  }

  /** Values of filters by their names. */
  filters(): Map<string, readonly string[]> {
    const places = this.#numbered('Filter', '.Name')
    return new Map(places.map(at => [this.text(`${at}.Name`), this.list(`${at}.Value`)]))
  }
  /** Of the only resource that a request makes. */
  tags(): Map<string, string> {
    const places = this.#numbered('TagSpecification.1.Tag', '.Key')
    return new Map(places.map(at => [this.text(`${at}.Key`), this.text(`${at}.Value`)]))
  }

  #numbered(name: string, member: string): string[] {
    const places: string[] = []
    for (let n = 1; this.#values.has(`${name}.${n}${member}`); n++) places.push(`${name}.${n}`)
    return places
  }
}
