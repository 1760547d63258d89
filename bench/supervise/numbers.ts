// The few statistics the measurements use.

/** The value below which this part of all lies (nearest rank).  part: 0 to 1.  NaN for none. */
export function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN
}

export function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
