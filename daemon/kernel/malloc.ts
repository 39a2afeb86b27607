/** The C library's memory, which Node keeps what comes by the network in, and the garbage collector its lists (mallopt(3)). */
import { libcFunction } from './sys.ts'

const mallopt = libcFunction('int mallopt(int parameter, int value)')
const mallocTrim = libcFunction('int malloc_trim(size_t pad)')

/** malloc.h */
const M_TRIM_THRESHOLD = -1
const M_MMAP_THRESHOLD = -3
const MMAP_FROM = 32 * 1024
const TRIM_FROM = 64 * 1024

/**
 * From now on larger pieces are the kernel's again as soon as they are freed, and free memory at the end of the heap is.
 * By itself the C library raises both limits to megabytes once large pieces have been freed.
 */
export function returnLargePieces(): void {
  mallopt()(M_MMAP_THRESHOLD, MMAP_FROM)
  mallopt()(M_TRIM_THRESHOLD, TRIM_FROM)
}

/** Gives all pages that nobody uses to the kernel. Takes some milliseconds. */
export function trimMalloc(): void {
  mallocTrim()(0)
}
