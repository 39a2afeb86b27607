/** The names of a guest's two shares: this machine's root, which it may read, and the folder that takes its results. */
export const ROOT_TAG = 'root'
export const RESULTS_TAG = 'results'
