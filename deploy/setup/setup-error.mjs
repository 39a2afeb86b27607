/** What keeps the set-up from going on, and what to do about it, in one line. */
export class SetupError extends Error {
  /**
   * @param {string} problem what is wrong
   * @param {string} remedy what the person can do
   */
  constructor(problem, remedy) {
    super(`${problem}; ${remedy}`)
    this.name = 'SetupError'
  }
}
