/** Safari before 26.4 cannot iterate over the body of an answer, which every watch does. */
const { prototype } = ReadableStream;
if (!(Symbol.asyncIterator in prototype)) {
  Object.defineProperty(prototype, Symbol.asyncIterator, {
    configurable: true,
    writable: true,
    async *value(this: ReadableStream<unknown>) {
      const reader = this.getReader();
      try {
        for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
      } finally {
        await reader.cancel().catch(() => undefined);
      }
    },
  });
}
