import { type TNull, type TSchema, type TUnion, type TUnsafe, Type } from "typebox";

const uuidPattern = "^[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}$";

/** A UUID in lower case. The brand is minted here: nothing else gets past the pattern. */
export const uuid = <Id>(): TUnsafe<Id> => Type.Unsafe<Id>(Type.String({ pattern: uuidPattern }));
export const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const text = Type.String();
export const orNull = <Schema extends TSchema>(schema: Schema): TUnion<[Schema, TNull]> =>
  Type.Union([schema, Type.Null()]);
export const oneOf = <const Values extends readonly [string, ...string[]]>(
  ...values: Values
): TUnsafe<Values[number]> => Type.Unsafe<Values[number]>(Type.Enum([...values]));

/** What a schema admits, as the types of the project write it. */
export type DeepReadonly<T> = T extends string | number | boolean | null
  ? T
  : { readonly [Key in keyof T]: DeepReadonly<T[Key]> };
/** `true` where two types admit the same values; for assertions that do not compile otherwise. */
export type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
