// Walks zod schemas: what stands under a key, which options a map has, which half of a union was meant.
import type * as z from 'zod'

/** Takes defaults, optional and transformations off.  Throws nothing. */
export function unwrap(schema: z.ZodType): z.ZodType {
  let inner = schema
  for (;;) {
    const { def } = inner as unknown as { def: { type: string; innerType?: z.ZodType; in?: z.ZodType } }
    if (def.type === 'pipe' && def.in !== undefined) inner = def.in
    else if (def.innerType !== undefined) inner = def.innerType
    else return inner
  }
}

type Def = {
  type: string
  shape?: Record<string, z.ZodType>
  valueType?: z.ZodType
  element?: z.ZodType
  options?: z.ZodType[]
}

function defOf(schema: z.ZodType): Def {
  return (unwrap(schema) as unknown as { def: Def }).def
}

/** The schema of what stands under key, where one is known.  kind: whether a map or a list is walked, to choose between the halves of a union. */
export function stepInto(schema: z.ZodType, key: PropertyKey, kind: 'map' | 'list'): z.ZodType | null {
  const def = defOf(schema)
  if (def.type === 'union') {
    const half = def.options?.find(each => isList(each) === (kind === 'list') && ['array', 'object', 'record'].includes(defOf(each).type))
    return half === undefined ? null : stepInto(half, key, kind)
  }
  if (def.type === 'object') return (Object.hasOwn(def.shape ?? {}, key) && def.shape?.[String(key)]) || null
  return def.valueType ?? def.element ?? null
}

export function isList(schema: z.ZodType): boolean {
  return defOf(schema).type === 'array'
}

/** The options of a map, in the order they were declared; null where the schema is no map of options. */
export function objectShape(schema: z.ZodType): Record<string, z.ZodType> | null {
  const def = defOf(schema)
  if (def.type !== 'union') return def.shape ?? null
  const half = def.options?.find(each => defOf(each).type === 'object')
  return half === undefined ? null : objectShape(half)
}

/** The issues of the half that fits what was found (a map, a list), or null where none fits and the union's own words are better. */
export function unionBranch(halves: z.core.$ZodIssue[][], isCollection: boolean): z.core.$ZodIssue[] | null {
  if (!isCollection) return null
  return halves.find(issues => !issues.some(issue => issue.path.length === 0 && issue.code === 'invalid_type')) ?? null
}

export function kindOf(kind: 'text' | 'number' | 'boolean'): string {
  return kind === 'text' ? 'text' : kind === 'number' ? 'a number' : 'true or false'
}
