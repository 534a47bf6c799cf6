/** `1 user`, `2 users`, `0 entries`. */
export function humanCount(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
